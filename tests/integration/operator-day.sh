#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# docs/operators.md, command by command and in its order, with a real container: what the page promises of
# certificates, folders, and grants kept in a file holds; the schema takes what is printed and what is shown.
. "$(dirname "$0")/lib.sh"

export COFFER_DOCS=$here/../../docs
page_file=$COFFER_DOCS/operators.md
mkdir "$D/day"
PATH=$COFFER_BUILD/client:$PATH
export PATH

block() { # HEADING KIND: the page's blocks of that kind under the heading
	awk -v heading="## $1" -v fence='```'"$2" '
		/^## / { inside = $0 == heading }
		inside && $0 == fence { code = 1; next }
		/^```$/ { code = 0 }
		inside && code' "$page_file"
}

page() { # HEADING: runs its commands; what they print is in $D/out and $D/err
	block "$1" sh >"$D/commands"
	[[ -s $D/commands ]] || fail "no commands under '$1' in $page_file"
	run env -C "$D/day" bash -euo pipefail "$D/commands"
	[[ $status -eq 0 ]] || fail "the commands under '$1' ended with $status: $(tail -n 5 "$D/err")"
}

warned() { # PATTERN: the last command said so on stderr
	grep -qE -- "$1" "$D/err" || fail "no '$1' in: $(cat "$D/err")"
}

silent() { # the last command said nothing on stderr
	[[ ! -s $D/err ]] || fail "said: $(cat "$D/err")"
}

in_day() { # COMMAND...
	env -C "$D/day" "$@"
}

start_broker
page "The first start"
grep -q unsealed "$D/out" || fail "the store is not open after: $(cat "$D/commands")"

page "Putting values"
silent
[[ $(coffer get db/password | wc -c) -eq 48 ]] || fail "the password has a newline, or is not whole"

page "Certificates"
silent
grep -q 'tls/web.key fits' "$D/out" || fail "the key beside it: $(cat "$D/out")"
[[ $(tail -n 1 "$D/out") =~ ^(89|90)$ ]] || fail "days left: $(tail -n 1 "$D/out")"

page "Many at once"
silent
[[ $(coffer get app/smtp/password) == 'correct horse' ]] || fail "not what the file holds"

container web
page "Granting"
silent
in_container web ls /run/secrets >"$D/seen"
[[ $(<"$D/seen") == $'password\ntls' ]] || fail "web sees: $(cat "$D/seen")"

# ---- grants in a file: an export is no difference; a changed file is applied, once ----

schema_takes() { # FILE
	python3 -W ignore -m jsonschema -i "$1" "$COFFER_DOCS/grants.schema.json" ||
		fail "the schema refuses $1: $(cat "$1")"
}
schema_refuses() { # TEXT
	echo "$1" >"$D/bad.json"
	! python3 -W ignore -m jsonschema -i "$D/bad.json" "$COFFER_DOCS/grants.schema.json" >/dev/null 2>&1 ||
		fail "the schema takes $1"
}

mapfile -t steps < <(block "Grants as code" sh)
in_day bash -euc "${steps[0]}"
succeeds in_day coffer diff grants.json
says ''
block "Grants as code" json >"$D/day/grants.json"
schema_takes "$D/day/grants.json"
coffer grants --json >"$D/export.json"
schema_takes "$D/export.json"
succeeds coffer diff "$D/export.json"
succeeds coffer apply --prune "$D/export.json"
says ''

run in_day coffer diff grants.json
[[ $status -eq 1 ]] || fail "diff of a changed file ended with $status"
grep -q '^+ app/ container=worker label:team=payments$' "$D/out" || fail "diff: $(cat "$D/out")"
grep -q '^+ db/password container=web mode=0400$' "$D/out" || fail "diff: $(cat "$D/out")"
grep -qE '^- db/password container=web \([0-9a-f]{16}\)$' "$D/out" || fail "diff: $(cat "$D/out")"
[[ $(wc -l <"$D/out") -eq 3 ]] || fail "diff: $(cat "$D/out")"
epoch() { coffer status --json | jq .epoch; }
before=$(epoch)
succeeds in_day coffer apply --dry-run --prune grants.json
[[ $(wc -l <"$D/out") -eq 3 && $(epoch) -eq $before ]] || fail "a dry run: $(cat "$D/out")"

succeeds in_day coffer apply grants.json
warned 'note: 1 grants that are not in grants.json stay'
[[ $(wc -l <"$D/out") -eq 2 && $(epoch) -eq $((before + 1)) ]] || fail "apply: $(cat "$D/out")"
succeeds in_day coffer apply grants.json --prune
[[ $(cut -c 1 "$D/out") == - && $(epoch) -eq $((before + 2)) ]] || fail "prune: $(cat "$D/out")"
succeeds in_day coffer apply grants.json --prune
says ''
[[ $(epoch) -eq $((before + 2)) ]] || fail "a second apply changed the store"
succeeds in_day coffer diff grants.json
coffer grants --json | coffer apply --prune - >"$D/out"
says ''
page "Grants as code" # again as a whole: it exports, and applies the export
in_container web ls -l /run/secrets/password >"$D/seen"
grep -q '^-r--------' "$D/seen" || fail "the mode of the applied grant: $(cat "$D/seen")"
audit_has grant '.name == "app/" and .by == "ApplyGrants"'
audit_has revoke '.name == "db/password" and .by == "ApplyGrants"'

for bad in '{}' '[]' '{"grants":[{"name":"a","conditions":{}}]}' '{"grants":[{"name":"A","conditions":{"unit":"u"}}]}' \
	'{"grants":[{"name":"a","conditions":{"unit":"u"},"pth":"x"}]}' \
	'{"grants":[{"name":"a","conditions":{"runtime":"lxc"}}]}' \
	'{"grants":[{"name":"a","conditions":{"labels":{}}}]}' '{"grants":[],"more":1}' \
	'{"grants":[{"name":"a","conditions":{"unit":"u"},"mode":"4755"}]}'; do
	schema_refuses "$bad"
	fails 1 'bad.json|grant|known|object' coffer apply "$D/bad.json"
	run coffer diff "$D/bad.json"
	[[ $status -eq 2 ]] || fail "diff of $bad ended with $status"
done
echo '{"grants":[{"name":"a","conditions":{"container":"x"},"path":"p"},
	{"name":"b","conditions":{"container":"x","runtime":"runc"},"path":"p"}]}' >"$D/clash.json"
succeeds coffer apply --dry-run "$D/clash.json"
warned 'two grants want p'

page "Rotating"
[[ $(coffer history db/password | wc -l) -eq 3 ]] || fail "versions: $(coffer history db/password)"
page "Who has what"
page "Taking back"
lacks web /run/secrets/tls/web.crt

# ---- certificates that are not as they should be ----

cd "$D/day"
openssl req -x509 -newkey ed25519 -nodes -days 3 -subj /CN=short -keyout other.key -out short.crt 2>/dev/null
succeeds coffer put bad/tls.crt=@web.crt bad/tls.key=@other.key
warned 'bad/tls.crt: the private key in bad/tls.key does not fit this certificate'
succeeds coffer info bad/tls.crt
grep -q 'bad/tls.key does not fit' "$D/out" || fail "$(cat "$D/out")"
audit_has get '.name == "bad/tls.key" and .by == "Get"'
succeeds coffer info bad/tls.crt --key tls/web.key
grep -q 'tls/web.key fits' "$D/out" || fail "$(cat "$D/out")"
succeeds coffer info bad/tls.crt --json
says_json '.certificate | .chain == "single" and .key == {name: "bad/tls.key", fits: false}'
gets=$(coffer audit --json | jq -s 'map(select(.event == "get")) | length')
succeeds coffer info bad/tls.crt --no-value
! grep -q subject "$D/out" || fail "--no-value reads the value"
succeeds coffer info app/smtp/user
[[ $(coffer audit --json | jq -s 'map(select(.event == "get")) | length') -eq $gets ]] ||
	fail "info read a value that is no certificate"
fails 1 'no certificate' coffer info app/smtp/user --certificate

refuses() { # PATTERN COMMAND...: --check stores nothing, and a warning says why
	run "${@:2}"
	[[ $status -eq 1 ]] || fail "'${*:2}' ended with $status: $(cat "$D/err")"
	warned "$1"
	warned 'not stored'
}
before=$(epoch)
refuses 'tls/web.crt: the private key in tls/web.key does not fit' coffer put --check tls/web.crt=@short.crt
refuses 'tls/web.crt: the private key in tls/web.key does not fit' coffer put --check tls/web.key=@other.key
refuses 'the value is empty' coffer put --check some=@/dev/null
[[ $(epoch) -eq $before ]] || fail "--check stored something"
succeeds coffer put --check tls/web.crt=@web.crt
silent
succeeds coffer put --check tls/web.key=@web.key
silent
succeeds coffer put --check tls/web.crt=@short.crt tls/web.key=@other.key
silent
succeeds coffer put tls/web.crt=@web.crt tls/web.key=@web.key

openssl x509 -in web.crt -outform der -out web.der
succeeds coffer put der/cert=@web.der
silent
succeeds coffer info der/cert
grep -q 'CN=web.example' "$D/out" || fail "DER: $(cat "$D/out")"
openssl pkcs8 -topk8 -in web.key -out locked.key -passout pass:x
succeeds coffer put enc/tls.key=@locked.key
warned 'is encrypted'
sed 's/$/\r/' web.crt >crlf.crt
succeeds coffer put crlf=@crlf.crt
warned 'CR LF'
echo secret >line
succeeds coffer put line=@line
warned 'line: the value ends with a newline'
! grep -q 'secret' "$D/err" || fail "a warning shows the value"
succeeds coffer put empty=@/dev/null
warned 'empty: the value is empty'

# ---- folders ----

install -d -m 0700 many many/.git
printf x >many/Capital
printf x >many/good
printf x >many/.git/config
ln -s /etc/passwd many/out
run coffer put --from-dir many m/
[[ $status -eq 1 ]] || fail "ended with $status"
warned '^coffer: warning: Capital: '
warned '^coffer: warning: out: .*leads out of the folder'
warned '^coffer: note: .git: hidden'
warned 'nothing was stored: 2 entries'
! coffer info m/good >/dev/null 2>&1 || fail "something was stored"
rm many/Capital many/out
chmod 0644 many/good
before=$(epoch)
succeeds coffer put --from-dir many --dry-run m/
warned 'good: every user of this host can read it'
says $'m/good\t1\tgood'
[[ $(epoch) -eq $before ]] || fail "a dry run changed the store"
install -d -m 0700 lots
for i in {100..399}; do printf %s "$i" >"lots/$i"; done
chmod -R go= lots
before=$(epoch)
succeeds coffer put --from-dir lots lots/
warned 'note: 300 files are stored in 3 transactions of at most 128'
[[ $(wc -l <"$D/out") -eq 300 && $(epoch) -eq $((before + 3)) ]] || fail "$(wc -l <"$D/out") stored"
[[ $(coffer get lots/399) == 399 ]] || fail "a value of the last transaction"
succeeds coffer put --from-dir lots --after lots/389 lots/
[[ $(wc -l <"$D/out") -eq 10 ]] || fail "--after: $(cat "$D/out")"
put new/300 before
run coffer put --from-dir lots --if-version 0 new/
[[ $status -eq 1 && $(wc -l <"$D/out") -eq 128 ]] || fail "cut off with $status: $(tail -n 1 "$D/out")"
warned '128 of 300 files were stored, the last as new/227: go on with --after new/227: .*new/300'
coffer rm new/300
succeeds coffer put --from-dir lots --if-version 0 --after new/227 new/
[[ $(wc -l <"$D/out") -eq 172 && $(coffer ls new/ | wc -l) -eq 300 ]] || fail "went on with: $(head -n 1 "$D/out")"
fails 2 'prefix' coffer put --from-dir lots lots
fails 2 'from-dir' coffer put a --dry-run

# ---- what a newcomer is told ----

succeeds coffer grant later --container nobody-yet
warned 'note: there is no secret later yet'
warned 'note: no running container .*coffer explain'
succeeds coffer grant later/ --container web
warned 'note: there is no secret below later/ yet'
! grep -q 'no running container' "$D/err" || fail "web runs: $(cat "$D/err")"
fails 1 'tag.*moved.*allow-tag' coffer grant db/password --image nginx:1.25
