#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The audit log accounts for every read: while a container reads on and on the broker is killed and stopped again and
# again, also beyond the container's budget of lines, and afterwards each open stands in the log once: none is lost, none twice.
. "$(dirname "$0")/lib.sh"

broker_options=(--keyfile "$D/key")
unsealed_broker
put db first
succeeds coffer grant db --container web
container web --tmpfs /tmp

mkfifo "$D/reads"
# Each turn opens the file once, by the shell itself: a read costs little, and many fall between two kills.
runc exec web sh -c '
	n=0
	while [ ! -e /tmp/stop ]; do
		read -r value </run/secrets/db || [ "$value" = first ] || echo FAILED
		n=$((n + 1))
		[ $n -ne 3 ] || echo reading
	done
	echo "$n reads"' >"$D/reads" 2>&1 </dev/null &
exec {reads}<"$D/reads"
read -r line <&"$reads"
[[ $line == reading ]] || fail "the reader said '$line'"

for signal in {KILL,KILL,TERM}{,,,}; do
	stop_broker "$signal"
	start_broker
done

succeeds in_container web touch /tmp/stop
cat <&"$reads" >"$D/read.log"
[[ $(cat "$D/read.log") =~ ^[0-9]+\ reads$ ]] || fail "a read failed: $(head -c 2000 "$D/read.log")"
made=$(cut -d' ' -f1 "$D/read.log")
coffer audit --json >"$D/audit"
recorded=$(jq -s 'map(select(.event == "open" and .result == "granted") | .count) | add' "$D/audit")
[[ $recorded -eq $made ]] || fail "$made reads were made, and $recorded are on record"
jq -se 'any(.[]; .event == "open" and .count > 1)' "$D/audit" >/dev/null ||
	fail "the reader never came to more than its budget of lines: this shows nothing of counts"
succeeds coffer audit verify
