#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# bash, zsh and fish complete commands, options and values as they are installed: names, prefixes, versions, grants and
# containers of a real broker, files as the shell names them, and every signal that the broker takes. Whoever may not
# ask the broker, and everybody while there is none, gets no names and no error.
# shellcheck source=../integration/lib.sh
. "$(dirname "$0")/../integration/lib.sh"

for need in zsh fish; do
	command -v "$need" >/dev/null || fail "$need is missing: see tests/install-packages"
done
[[ -r /usr/share/bash-completion/bash_completion ]] || fail "bash-completion is missing: see tests/install-packages"

DESTDIR=$D/dest cmake --install "$COFFER_BUILD" --prefix /usr >"$D/install.log" 2>&1 || fail "cmake --install"
share=$D/dest/usr/share
PATH=$D/dest/usr/bin:$PATH
export HOME=$D/home XDG_CONFIG_HOME=$D/home XDG_DATA_HOME=$D/home XDG_CACHE_HOME=$D/home XDG_DATA_DIRS=$share:/usr/share
mkdir -p "$D/home" "$D/files/a folder"
touch "$D/files/value one" "$D/files/a folder/within"

# Each shell finds the script by itself, where it looks for those of packages.
cat >"$D/start.bash" <<-'END'
	. /usr/share/bash-completion/bash_completion
END
for file in bash-completion/completions/coffer zsh/vendor-completions/_coffer fish/vendor_completions.d/coffer.fish; do
	[[ -f $share/$file ]] || fail "no $file"
done
cat >"$D/start.zsh" <<-END
	fpath=("$share/zsh/vendor-completions" \$fpath)
	autoload -Uz compinit && compinit -u -D
END

# becomes LINE RESULT [LINE RESULT]...: what the line is behind a Tab, in bash and in zsh
becomes() {
	local lines=() results='' shell
	while [[ $# -gt 0 ]]; do
		lines+=("$1")
		results+="<$2>"$'\n'
		shift 2
	done
	for shell in bash zsh; do
		succeeds "$here/../programs/shell_line.py" "$shell" "$D/start.$shell" "${lines[@]}"
		[[ $(cat "$D/out")$'\n' == "$results" ]] ||
			fail "$shell: $(diff <(printf '%s' "$results") "$D/out" || true)"
	done
}

# offers LINE [WORD...]: what fish offers, in fish's order
offers() {
	local line=$1
	shift
	succeeds fish -c 'complete -C $argv[1]' "$line"
	[[ $(cut -f 1 "$D/out") == "$(printf '%s\n' "$@")" ]] ||
		fail "fish offers for '$line': $(cut -f 1 "$D/out" | tr '\n' ' ')"
}

# completes WORD...: what coffer itself says may stand in the place of the last word
completes() {
	succeeds coffer complete -- "$@"
	[[ ! -s $D/err ]] || fail "complete $* said: $(cat "$D/err")"
}

cd "$D/files"

# ---- without a broker: what is known all the same, and no error ----

becomes 'coffer pu' 'coffer put ' 'coffer put --fi' 'coffer put --file ' 'coffer audit ' 'coffer audit verify ' \
	'coffer put --file val' 'coffer put --file value\ one ' 'coffer put db=@val' 'coffer put db=@value\ one ' \
	'coffer put db=@a' 'coffer put db=@a\ folder/' 'coffer get --out=val' 'coffer get --out=value\ one ' \
	'coffer grant x --runtime dock' 'coffer grant x --runtime docker ' \
	'coffer grant x --runtime=dock' 'coffer grant x --runtime=docker ' \
	'coffer grant x --on-rotate signal:QU' 'coffer grant x --on-rotate signal:QUIT ' \
	'coffer grant x --on-rotate ex' 'coffer grant x --on-rotate exec:/' \
	'coffer get d' 'coffer get d' 'coffer frobnicate ' 'coffer frobnicate '
offers 'coffer pu' put
offers 'coffer get --o' --out
offers 'coffer put db=@val' 'db=@value one'
offers 'coffer --runtime-dir a' 'a folder/'
offers 'coffer get d'
completes get d
says ''

# ---- names of a real broker ----

unsealed_broker
put db/password one
put db/password two
put db/user u
put tls/web/key k
id=$(coffer grant tls/ --container web)
container web
completes get ''
[[ $(cut -f 1 "$D/out") == $'db/password\ndb/user\ntls/web/key' ]] || fail "names: $(cat "$D/out")"
completes ls ''
[[ $(cut -f 1 "$D/out") == $'db/\ntls/\ntls/web/' ]] || fail "prefixes: $(cat "$D/out")"
completes rollback db/password --to ''
[[ $(cut -f 1 "$D/out") == $'2\n1' ]] || fail "versions: $(cat "$D/out")"
becomes 'coffer get db/p' 'coffer get db/password ' 'coffer ls tls/w' 'coffer ls tls/web/' \
	'coffer grant t' 'coffer grant tls/' "coffer revoke ${id:0:4}" "coffer revoke $id " \
	'coffer explain w' 'coffer explain web ' 'coffer detach we' 'coffer detach web ' \
	"coffer --runtime-dir $RUN info tl" "coffer --runtime-dir $RUN info tls/web/key "
offers 'coffer get db/' db/password db/user
offers 'coffer revoke ' "$id"
offers 'coffer ps --js' --json

# Every signal that is offered is taken, and every one that is taken is offered.
completes grant db/user --on-rotate signal:
cut -f 1 "$D/out" >"$D/offered"
while read -r reaction; do
	succeeds coffer grant db/user --container none --on-rotate "$reaction"
done <"$D/offered"
fails 1 'is none of' coffer grant db/user --container none --on-rotate signal:KILL
[[ $(sed 's/.*is none of //; s/;.*//; s/ and /, /' "$D/err" | tr -d ' .' | tr ',' '\n' | sort) == \
	$(sed s/signal:// "$D/offered" | sort) ]] || fail "offered: $(tr '\n' ' ' <"$D/offered"); taken: $(cat "$D/err")"
completes grant db/user --runtime ''
while read -r runtime _; do
	succeeds coffer grant db/user --container none --runtime "$runtime"
done < <(cut -f 1 "$D/out")

# ---- whoever may not, and a sealed store ----

succeeds setpriv --reuid nobody --clear-groups "$D/dest/usr/bin/coffer" complete -- get ''
[[ ! -s $D/out && ! -s $D/err ]] || fail "nobody was told: $(cat "$D/out" "$D/err")"
coffer seal
completes get ''
says ''
completes statu
[[ $(cut -f 1 "$D/out") == status ]] || fail "sealed: $(cat "$D/out")"
