#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Law 1: the read path touches memory only. While containers read in a loop the broker is stopped, then its disk is full,
# then nobody reads what it logs: reads go on each time, also of several users and beyond what the ring of records holds,
# and afterwards the log accounts for every one of them.
. "$(dirname "$0")/../integration/lib.sh"
. "$(dirname "$0")/crowd-lib.sh"

mkdir "$STATE"
mount -t tmpfs -o size=24m,mode=700 tmpfs "$STATE"
write_config '.audit_budget = 60'
broker_options=(--keyfile "$D/key")
unsealed_broker
crowd_secrets
for name in first second; do
	succeeds coffer grant $name --label crowd=1 --as "open/$name" --mode 444
done
crowd 8 2000

# Beside the crowd: one container in which several users read without a pause.
crowd_beside many 0,1000,1001,1002 /run/secrets/open/{first,second}

pace() { # CASE: returns when each has made so many looks more than the ring has records; the time is told, not judged
	local begin=$EPOCHREALTIME before=0 after=0 name n
	while read -r name n; do before=$((before + n)); done < <(counted 1 "${CROWD[@]}")
	crowd_progress 300
	crowd_progress 6000 u1000
	while read -r name n; do after=$((after + n)); done < <(counted 1 "${CROWD[@]}")
	awk -v case="$1" -v n=$((after - before)) -v from="$begin" -v to="$EPOCHREALTIME" \
		'BEGIN { printf "%s: %d looks, %d a second\n", case, n, n / (to - from) }'
}
is_stopped() {
	[[ $(awk '/^State:/ { print $2 }' "/proc/$broker_pid/status") == T ]]
}
pace 'as it is'

# The broker stopped; its spawner too, though that has no part in reading.
spawner=$(pgrep -P "$broker_pid")
kill -STOP "$broker_pid" "$spawner"
on_exit+=("kill -CONT $broker_pid $spawner 2>/dev/null")
until is_stopped; do :; done # the signal is on its way
pace 'broker stopped'
is_stopped || fail "the broker was not stopped all the time"
kill -CONT "$broker_pid" "$spawner"
coffer audit --json | jq -se 'any(.[]; .event == "open" and .count > 1)' >/dev/null || fail "nothing was folded"

# Its disk full: what is recorded waits in memory.
dd if=/dev/zero of="$STATE/filler" bs=64k >/dev/null 2>&1 || true
fails 1 'space|full' coffer put other --file "$D/large.value"
pace 'disk full'
dd if=/dev/zero of="$STATE/filler2" bs=4k >/dev/null 2>&1 || true
for _ in {1..250}; do # each looks into the rings; what it finds there keeps its room
	coffer ps >"$D/ps"
done
pace 'disk full still'
fails 1 'space|full' coffer put other --file "$D/large.value"
rm -f "$STATE"/filler*
succeeds coffer put other --file "$D/large.value"

# Nobody reads its log: a pipe as small as there is, full.
stop_broker TERM
mkfifo "$D/log.pipe"
exec {log_end}<>"$D/log.pipe"
LOG=$D/log.pipe
python3 -c "import fcntl, os; fcntl.fcntl($log_end, 1031, 4096); os.set_blocking($log_end, False)
try:
    while True: os.write($log_end, b'x' * 512)
except BlockingIOError: pass
os.set_blocking($log_end, True)"
start_broker
pace 'log blocked'
kill -9 "$(crowd_workers | grep '^c3 ' | cut -d' ' -f2)" # of which it would log a lot
crowd_progress 300 c3
succeeds coffer put other --file "$D/key"
LOG=$D/cofferd.log
stop_broker TERM
start_broker

crowd_stop 1000
crowd_sum_beside many
crowd_accounts
crowd_report 'broker stopped, disk full, log blocked'
