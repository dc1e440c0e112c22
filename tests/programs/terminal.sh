#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What people see on a terminal, and what programs read: headings, columns that fit, colours and a line that tells how
# far long work is are there on a terminal only. Elsewhere there is not one escape sequence, and with NO_COLOR or a
# terminal that is dumb no colour either.
# shellcheck source=../integration/lib.sh
. "$(dirname "$0")/../integration/lib.sh"

ESC=$'\e'
GREEN=$'\e[32m' YELLOW=$'\e[33m' RED=$'\e[31m' PLAIN=$'\e[0m' BOLD=$'\e[1m' WIPE=$'\r\e[K'
export TERM=xterm
unset NO_COLOR COLUMNS

on_terminal() { # [options of on_terminal.py] COMMAND...: what it wrote is in $D/out, lines ended by LF alone
	succeeds "$here/../programs/on_terminal.py" "$@"
	sed -i 's/\r$//' "$D/out"
}

has() { # TEXT
	grep -qF -- "$1" "$D/out" || fail "no '$1' in: $(cat -v "$D/out")"
}

has_no() { # TEXT
	! grep -qF -- "$1" "$D/out" || fail "'$1' in: $(cat -v "$D/out")"
}

coffer=$COFFER_BUILD/client/coffer
unsealed_broker
put db/password one
put old gone
put db/a-name-that-is-long-enough-to-need-its-room x
printf y | coffer put labelled --label owner=somebody-with-a-long-name --label purpose=a-purpose-that-takes-many-words >/dev/null
coffer grant db/ --container web --runtime runc --label app=payments --label tier=a-tier-with-a-long-name >"$D/id"
coffer grant db/password --container web >/dev/null
container web

# ---- colours ----

on_terminal "$coffer" ps
has "${BOLD}CONTAINER$PLAIN"
has "${GREEN}attached$PLAIN"
on_terminal "$coffer" status
has "${GREEN}unsealed$PLAIN"
for plain in NO_COLOR=1 TERM=dumb TERM=; do
	for verb in ps status ls grants; do
		on_terminal env "$plain" "$coffer" "$verb"
		has_no "$ESC"
	done
done
on_terminal env NO_COLOR= "$coffer" status
has "$GREEN"
run "$here/../programs/on_terminal.py" "$coffer" get nothing
[[ $status -eq 1 ]] || fail "get of nothing: $status"
has "${RED}coffer: ${PLAIN}there is no secret"
# Only the stream that is a terminal: a listing in a file next to an error on the terminal, and the other way round.
on_terminal --plain-stdout "$D/listing" "$coffer" ps
[[ $(tr -cd '\t' <"$D/listing" | wc -c) -gt 0 ]] || fail "no tabs in a file: $(cat "$D/listing")"
! grep -q "$ESC" "$D/listing" || fail "escape sequences in a file"
for verb in ps status ls grants help audit; do
	succeeds coffer "$verb"
	has_no "$ESC"
	succeeds env CLICOLOR_FORCE=1 "$coffer" "$verb"
	has_no "$ESC"
done

# ---- columns ----

width() { # the longest line, without what has no width
	sed "s/$ESC\[[0-9]*m//g" "$D/out" | awk 'length > w { w = length } END { print w + 0 }'
}
id=$(cat "$D/id")
on_terminal --columns 140 "$coffer" grants
[[ $(width) -le 140 ]] || fail "140 columns: $(cat "$D/out")"
has '...'
has "$id"
on_terminal --columns 400 "$coffer" grants
has 'label:tier=a-tier-with-a-long-name'
on_terminal --columns 80 "$coffer" history labelled
[[ $(width) -le 80 ]] || fail "80 columns: $(cat "$D/out")"
# What names a thing is whole in the narrowest terminal.
on_terminal --columns 20 "$coffer" ls
has 'db/a-name-that-is-long-enough-to-need-its-room'
on_terminal --columns 20 "$coffer" grants
has "$id"
# Times to the second for people, whole for programs.
on_terminal "$coffer" ls
grep -qE '[0-9]T[0-9:]{8}Z' "$D/out" || fail "times: $(cat "$D/out")"
succeeds coffer ls
grep -qE '[0-9]T[0-9:]{8}\.[0-9]{6}Z' "$D/out" || fail "times: $(cat "$D/out")"

# ---- the line of long work ----

on_terminal --until 'coffer: waiting' --then "printf v | '$coffer' put late" "$coffer" wait late
has "${WIPE}coffer: waiting"
[[ $(sed "s/.*$ESC\[K//" "$D/out") == 'late 1' ]] || fail "left behind: $(cat -v "$D/out")"

times_out() { # COMMAND...: waits for two seconds, longer than it takes until a line is drawn
	run "$@" wait late --newer-than 1 --timeout 2s
	[[ $status -eq 1 ]] || fail "'$*' ended with $status"
	cat "$D/err" >>"$D/out"
	has 'late got no version newer than 1 within 2s'
}
times_out "$here/../programs/on_terminal.py" "$coffer"
has "${WIPE}coffer: waiting"
has "$WIPE${RED}coffer: ${PLAIN}late got no"
for plain in "$coffer --json" "env TERM=dumb $coffer"; do
	read -ra words <<<"$plain"
	times_out "$here/../programs/on_terminal.py" "${words[@]}"
	has_no 'coffer: waiting'
done
times_out "$coffer"
has_no 'coffer: waiting'
has_no "$ESC"

# ---- states that are no good ----

coffer seal
on_terminal "$coffer" status
has "${YELLOW}sealed$PLAIN"
