#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A version whose time is up goes by itself: who watches the folder is told, a descriptor opened before gets EACCES,
# and the log says why. Also while the broker is sealed; and while it is dead no open succeeds any more. A later
# version brings the name back.
. "$(dirname "$0")/lib.sh"

LIFE_S=4 # enough to open the file; that it was opened in time is asserted
broker_options=(--keyfile "$D/key")
unsealed_broker
put lasting value
succeeds coffer grant lasting --container web
succeeds coffer grant volatile --container web
container web --with inotifywait

exec {watch}< <(runc exec web inotifywait -m -e delete,moved_to --format '%e %f' /run/secrets 2>&1 </dev/null)
watched() { # LINE: the container's inotifywait says so
	local line
	while read -r -t 60 -u "$watch" line; do
		[[ $line != "$1" ]] || return 0
	done
	fail "inotify in the container did not say '$1'"
}
watched 'Watches established.'

# A version that lives for LIFE_S, and a process in the container that has opened it and waits.
put_and_open() {
	head -c 300000 /dev/zero | tr '\0' x | coffer put volatile --expires "${LIFE_S}s" >/dev/null
	watched 'MOVED_TO volatile'
	mkfifo "$D/go" "$D/said"
	runc exec web sh -c '
		exec 3</run/secrets/volatile
		head -c 1 <&3
		echo " opened"
		read -r _
		cat <&3 2>&1 >/dev/null
		echo "status $?"' <"$D/go" >"$D/said" 2>&1 &
	exec {go}>"$D/go" {said}<"$D/said"
	rm "$D/go" "$D/said"
	read -r line <&"$said"
	[[ $line == 'x opened' ]] || fail "the reader said '$line'"
}

read_on() { # the process goes on reading
	echo >&"$go"
	cat <&"$said" >"$D/reader"
	exec {go}>&- {said}<&-
}

gone() {
	read_on
	grep -q 'Permission denied' "$D/reader" || fail "the open file said: $(head -c 300 "$D/reader")"
	grep -q 'status 1' "$D/reader" || fail "reading the open file did not fail"
	lacks web /run/secrets/volatile
	reads web /run/secrets/lasting value
}

put_and_open
watched 'DELETE volatile'
gone
audit_has withdraw '.container == "web" and .name == "volatile" and .version == 1 and (.reason | test("expired"))'
audit_has read '.container == "web" and .name == "volatile" and .version == 1 and .result == "EACCES"'
fails 1 'expired' coffer get volatile
succeeds coffer ls --json
says_json 'any(.secrets[]; .name == "volatile" and .expired)'
put lasting value # a change of something else does not bring it back
lacks web /run/secrets/volatile

# While sealed.
put_and_open
succeeds coffer seal
watched 'DELETE volatile'
gone
audit_has withdraw '.container == "web" and .name == "volatile" and .version == 2 and (.reason | test("expired"))'
succeeds coffer unseal --keyfile "$D/key"
lacks web /run/secrets/volatile

# While the broker is dead only the clock tells: its worker opens the file to nobody.
put_and_open
succeeds coffer info volatile --json
expires=$(jq -r '.secret.expires' "$D/out")
stop_broker KILL
python3 - "$expires" <<'PYTHON'
import datetime, sys, time
until = datetime.datetime.fromisoformat(sys.argv[1].replace("Z", "+00:00")).timestamp()
while time.time() <= until:
    time.sleep(max(0, until - time.time()) + 0.001)
PYTHON
run in_container web cat /run/secrets/volatile
[[ $status -ne 0 && ! -s $D/out ]] || fail "a dead broker's worker serves what has expired"
grep -qE 'Permission denied|No such file' "$D/err" || fail "reading what has expired said $(cat "$D/err")"
reads web /run/secrets/lasting value
start_broker
await_audit withdraw '.container == "web" and .name == "volatile" and .version == 3'
gone
audit_has open '.container == "web" and .name == "volatile" and .version == 3 and .result == "EACCES"'

succeeds coffer put volatile --file <(printf again)
says 'volatile 4'
reads web /run/secrets/volatile again
succeeds coffer audit verify
