#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A container that has the workload folder writable can spoil it; a broker that starts puts it right, each time.
. "$(dirname "$0")/lib.sh"

unsealed_broker
for _ in 1 2; do
	stop_broker
	rm "$RUN/workload/sock"
	mkdir -p "$RUN/workload/sock/full"
	chmod 777 "$RUN/workload"
	start_broker
	[[ -S $RUN/workload/sock ]] || fail "the workload socket is no socket"
	[[ $(stat -c %a "$RUN/workload") == 755 ]] || fail "the workload folder is $(stat -c %a "$RUN/workload")"
	grep -q 'was no socket: .* read-only' "$LOG" || fail "the broker does not say what it found and what to do"
done
