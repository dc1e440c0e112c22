#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A worker that crashes again and again is throttled: its readers get EIO instead of waiting for ever, the log and ps say
# so, changes wait, and no process spins. When the cause is gone the container reads again, the same mount, without a
# restart: after the pause, at `coffer attach`, and with a new broker. Other containers never notice.
. "$(dirname "$0")/../integration/lib.sh"

mkdir "$D/worker"
install -m 755 "$COFFER_BUILD/tests/survival/crashing-worker" "$D/worker/cofferfs"
echo 0 >"$D/worker/crash"
chmod 711 "$D/worker"
defect() { # 0 or 1; written over, not replaced: workers have it mapped
	printf %s "$1" | dd of="$D/worker/crash" conv=notrunc status=none
}
write_config ".worker_path = \"$D/worker/cofferfs\" | .crash_pause_seconds = 3600"
broker_options=(--keyfile "$D/key")
unsealed_broker
put db value-1
for name in web other; do
	succeeds coffer grant db --container $name
	container $name
	reads $name /run/secrets/db value-1
done

field() { # CONTAINER FIELD: as ps says
	coffer ps --json | jq -r ".attachments[] | select(.container == \"$1\") | .$2"
}
how_often() { # EVENT
	coffer audit --json | jq -s "map(select(.event == \"$1\" and .container == \"web\")) | length"
}
gets_eio() { # CONTAINER
	run in_container "$1" cat /run/secrets/db
	[[ $status -ne 0 ]] && grep -q 'Input/output error' "$D/err" || fail "$1 got: $(cat "$D/out" "$D/err")"
}

# A descriptor from before, and the mount's place: both outlive what follows.
mkfifo "$D/go" "$D/said"
runc exec web sh -c 'exec 3</run/secrets/db; echo opened; read -r _; cat <&3' <"$D/go" >"$D/said" 2>&1 &
reader=$!
exec {go}>"$D/go" {said}<"$D/said"
read -r line <&"$said"
[[ $line == opened ]] || fail "the reader said '$line'"

throttle_web() { # HOW-OFTEN-BEFORE
	defect 1
	gets_eio web # its own request makes the worker crash, and each successor, until the last refuses it
	[[ $(how_often worker.throttled) -eq $(($1 + 1)) ]] || fail "not throttled: $(how_often worker.throttled)"
	[[ $(field web state) == throttled ]] || fail "web is $(field web state)"
	field web reason | grep -q 'crashed 11 times in a row' || fail "the reason given is '$(field web reason)'"
	defect 0 # nobody is told: the pause stands
	gets_eio web
	reads other /run/secrets/db "$2"
}
throttle_web 0 value-1
# The first of them had served for a while; then it was 11 in a row.
[[ $(how_often worker.ended) -eq 12 ]] || fail "$(how_often worker.ended) workers ended instead of 12"
audit_has worker.ended '.container == "web" and .request_in_hand'
gets_eio web
gets_eio web
[[ $(how_often worker.ended) -eq 12 ]] || fail "the worker that refuses crashes as well"

# A change waits: put says who does not show it, and everybody else has it.
succeeds coffer put db --file <(printf value-2)
grep -q web "$D/err" || fail "put does not name web: '$(cat "$D/err")'"
reads other /run/secrets/db value-2

# An operator who has mended the cause.
succeeds coffer attach web
await_audit show '.container == "web" and .version == 2'
reads web /run/secrets/db value-2
[[ $(field web state) == attached ]] || fail "web is $(field web state)"
echo >&"$go"
read -r line <&"$said" || true
[[ $line == value-1 ]] || fail "the file opened before reads as '$line'"
exec {go}>&- {said}<&-
wait "$reader"
audit_lacks attach.failed

# A new broker tries anew.
throttle_web 1 value-2
refusing=$(field web worker)
stop_broker KILL
gets_eio web
start_broker
reads web /run/secrets/db value-2
"$here/await" end "$refusing"
[[ $(field web state) == attached ]] || fail "web is $(field web state)"

# The pause ends by itself.
stop_broker TERM
write_config ".worker_path = \"$D/worker/cofferfs\" | .crash_pause_seconds = 1"
start_broker
throttled=$(how_often worker.throttled)
defect 1
gets_eio web
[[ $(how_often worker.throttled) -gt $throttled ]] || fail "not throttled the third time"
refusing=$(field web worker)
defect 0
"$here/await" end "$refusing"
reads web /run/secrets/db value-2
in_container web grep -c ' /run/secrets ' /proc/self/mountinfo >"$D/out"
says 1

# What does not even start, nor refuse, costs the mount, and is said.
rm "$D/worker/crash"
kill -9 "$(field web worker)"
await_audit attach.failed '.container == "web"'
[[ $(field web state) == failed ]] || fail "web is $(field web state)"
echo 0 >"$D/worker/crash"
succeeds coffer attach web
reads web /run/secrets/db value-2
reads other /run/secrets/db value-2
succeeds coffer audit verify
