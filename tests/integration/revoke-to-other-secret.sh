#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A path that passes from one secret to another, or from a removed one to its namesake, is taken from those who have
# it open: only a new version of the very same secret leaves their descriptors alone.
. "$(dirname "$0")/lib.sh"

unsealed_broker
large() { # LETTER
	head -c 300000 /dev/zero | tr '\0' "$1"
}

# A process of web that has the path open and has read a byte of it, until it is told to read the rest.
open_path() { # PATH LETTER
	rm -f "$D/go" "$D/said"
	mkfifo "$D/go" "$D/said"
	runc exec web sh -c 'exec 3<"$1"; dd bs=1 count=1 <&3 2>/dev/null; echo " opened"; read -r _
		cat <&3 2>&1 | head -c 200; echo; head -c 1 <&3; echo "status $?"' reader "$1" <"$D/go" >"$D/said" 2>&1 &
	reader=$!
	exec {go}>"$D/go" {said}<"$D/said"
	read -r line <&"$said"
	[[ $line == "$2 opened" ]] || fail "the process with an open file said '$line'"
}

is_denied() { # WHAT
	echo >&"$go"
	cat <&"$said" >"$D/reader"
	exec {go}>&- {said}<&-
	wait "$reader"
	grep -q 'Permission denied' "$D/reader" || fail "$1: the open file said '$(head -c 300 "$D/reader")'"
	grep -q '^status 1' "$D/reader" || fail "$1: reading the open file did not fail"
}

is_reported() { # EVENT NAME PATH
	audit_has "$1" ".container == \"web\" and .name == \"$2\" and .path == \"$3\""
}

large x | coffer put older >/dev/null
put younger why
succeeds coffer grant older --container web --as shared
grant=$(cat "$D/out")
succeeds coffer grant younger --container web --as shared
put same first
large s | coffer put same >/dev/null
succeeds coffer grant same --container web
put other value
succeeds coffer grant other --container web
container web

# Two grants for one path: the older has it. Revoked, the path is the younger's.
open_path /run/secrets/shared x
audit_lacks withdraw
succeeds coffer revoke "$grant"
[[ ! -s $D/err ]] || fail "revoke said: $(cat "$D/err")"
reads web /run/secrets/shared why
is_denied 'a revoked path that is now another secret'
is_reported withdraw older shared
is_reported show younger shared
audit_lacks withdraw '.name == "younger"'

# Removed and put again, one after the other.
open_path /run/secrets/same s
succeeds coffer rm same
lacks web /run/secrets/same
large t | coffer put same >/dev/null
reads web /run/secrets/same "$(large t)"
is_denied 'removed and put again'
is_reported withdraw same same

# The same while the container is busy with another change, so that both come to it as one.
open_path /run/secrets/same t
before=$(coffer audit --json | jq -s 'last.seq')
spawner=$(pgrep -P "$broker_pid")
kill -STOP "$spawner" # no attacher starts: the change stays under way
on_exit+=("kill -CONT $spawner 2>/dev/null")
coffer put other --file <(printf newer) >"$D/other.log" 2>&1 &
changes=($!)
await_audit put ".name == \"other\" and .seq > $before"
coffer rm same >"$D/rm.log" 2>&1 &
changes+=($!)
await_audit rm ".name == \"same\" and .seq > $before"
large u | coffer put same >"$D/again.log" 2>&1 &
changes+=($!)
await_audit put ".name == \"same\" and .seq > $before"
kill -CONT "$spawner"
wait "${changes[@]}"
succeeds coffer put other --file <(printf newest) # whatever was to be shown before is
reads web /run/secrets/other newest
reads web /run/secrets/same "$(large u)"
is_denied 'removed and put again in one change'

# A new version of the same secret leaves who has the old one open alone.
open_path /run/secrets/same u
large v | coffer put same >/dev/null
reads web /run/secrets/same "$(large v)"
echo >&"$go"
cat <&"$said" >"$D/reader"
exec {go}>&- {said}<&-
wait "$reader"
grep -q '^uuuuuuuu' "$D/reader" || fail "an open file did not survive a new version: $(head -c 300 "$D/reader")"
succeeds coffer audit verify
