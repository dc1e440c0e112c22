#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The man pages have what the programs have: every command of coffer and every option of each, every option of
# cofferd and of coffer-hook, every key of the configuration; and nothing that is not there.
. "$(dirname "$0")/lib.sh"

source=$here/../..

same() { # WHAT WANTED FOUND: files of words
	diff <(sort -u "$2") <(sort -u "$3") >"$D/diff" || fail "$1 (<: of the program, >: of the page): $(cat "$D/diff")"
}

options() { # FILE: the options that a help text lists
	grep -oE '^  --[a-z-]+' "$1" | tr -d ' '
}

flags() { # of standard input, the options that it names
	grep -oE '(^[.]|[( ])Fl -[a-z-]+' | sed 's/.*Fl -/--/'
}

# ---- coffer ----

page=$source/client/coffer.1
# One line for each: its commands, and what the page has of a command from its .It to the next command's.
awk '
	/^\.It Cm / {
		name = ""
		for (i = 3; i <= NF && $i !~ /^(Ar|Fl|Op|Oo|Oc|\||Ns)$/; i++)
			name = name (name == "" ? "" : " ") $i
		print name >commands
	}
	/^\.S[hs] / { name = "" }
	{ print > (name == "" ? common : dir "/" name) }
	' commands="$D/commands.page" common="$D/common.page" dir="$D" "$page"
succeeds coffer help
sed -nE '/^[A-Z].*$/d; s/^  ([a-z]+( [a-z]+)?)  .*/\1/p' "$D/out" >"$D/commands"
[[ $(wc -l <"$D/commands") -gt 20 ]] || fail "no commands in: $(cat "$D/out")"
same commands "$D/commands" "$D/commands.page"
options "$D/out" | sort -u >"$D/all"
flags <"$D/common.page" | sort -u >"$D/named"
[[ -z $(comm -23 "$D/all" "$D/named") ]] || fail "common options that are not in the page: $(comm -23 "$D/all" "$D/named")"
while read -r command; do
	read -ra words <<<"$command"
	succeeds coffer help "${words[@]}"
	sed '/^Options of every command/,$d' "$D/out" >"$D/own.help"
	options "$D/own.help" | sort -u >"$D/own" || true
	flags <"$D/$command" | sort -u >"$D/named" || true
	[[ -z $(comm -23 "$D/own" "$D/named") ]] ||
		fail "$command has options that are not in the page: $(comm -23 "$D/own" "$D/named")"
	cat "$D/own" >>"$D/all"
done <"$D/commands"
# A page may name the option of another command, but none that is nowhere.
sort -u "$D/all" -o "$D/all"
flags <"$page" | sort -u >"$D/named"
[[ -z $(comm -13 "$D/all" "$D/named") ]] || fail "options that are nowhere: $(comm -13 "$D/all" "$D/named")"

# ---- cofferd and coffer-hook ----

"$COFFER_BUILD/broker/cofferd" --help >"$D/help" || fail "cofferd --help"
options "$D/help" >"$D/wanted"
grep '^\.It' "$source/broker/cofferd.8" | flags >"$D/found"
same cofferd "$D/wanted" "$D/found"
"$HOOK" --help >"$D/help" || fail "coffer-hook --help"
options "$D/help" >"$D/wanted"
grep '^\.It' "$source/client/coffer-hook.1" | flags >"$D/found"
same coffer-hook "$D/wanted" "$D/found"

# ---- the configuration ----

awk '/^## The file/ { in_it = 1 } /^### / { in_it = 0 } in_it' "$source/docs/configuration.md" |
	sed -nE 's/^\| `([a-z_]+)` .*/\1/p' >"$D/wanted"
sed -nE 's/^\.It Cm //p' "$source/broker/cofferd.json.5" | tr ',' '\n' | tr -d ' ' >"$D/found"
same "keys of docs/configuration.md" "$D/wanted" "$D/found"
while read -r key; do
	jq -n --arg key "$key" '{($key): {}}' >"$D/config.json"
	fails 1 "$key" "$COFFER_BUILD/broker/cofferd" --foreground --config "$D/config.json" --state-dir "$D/s" --runtime-dir "$D/r"
	! grep -qi unknown "$D/err" || fail "the broker does not know $key: $(cat "$D/err")"
done <"$D/found"
