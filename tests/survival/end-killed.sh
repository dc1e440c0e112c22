#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The broker is killed at every step of the end of two containers: the next one finds what is left of them, and nothing
# stays.
. "$(dirname "$0")/../integration/lib.sh"
# shellcheck source=ends-lib.sh
. "$(dirname "$0")/ends-lib.sh"

broker_options=(--keyfile "$D/key")
unsealed_broker
put db value
succeeds coffer grant db --label reads=db
stop_broker KILL
start_broker # one that has not written to its store, as those below
counts >"$D/counts"
began=$(cat "$D/counts")

begins() { # NAME
	run_container "$1"
	reads "$1" /run/secrets/db value
}
make() { # NAME
	make_bundle "$D/$1.bundle" "$HOOK" "$RUN" --hook --annotation reads=db --cgroup "/coffer-test-$TAG-$1"
}
ends() { # NAME
	kill -9 "$(container_pid "$1")"
	runc delete --force "$1" >/dev/null 2>&1 || true
}
make first
make second

declare -i kills=0
struck=
# The broker is killed when it enters the N-th call of these; it has ended, or said that it went on, when this returns.
strike() { # CALL N COMMAND...
	local tracer said=$D/strace.said
	strace -q -p "$broker_pid" -e trace="$1" -e inject="$1:signal=KILL:when=$2" -o "$D/strace.out" 2>"$said" &
	tracer=$!
	until [[ $(awk '/^TracerPid:/ { print $2 }' "/proc/$broker_pid/status") -ne 0 ]]; do :; done
	"${@:3}"
	if coffer ps --json 2>/dev/null | jq -e '.attachments == []' >/dev/null && kill -0 "$broker_pid" 2>/dev/null; then
		struck=no
		kill "$tracer"
		wait "$tracer" 2>/dev/null || true
	else
		struck=yes
		wait "$tracer" 2>/dev/null || true
		wait "$broker_pid" 2>/dev/null || true
		kills+=1
	fi
}
both_end() {
	ends first
	ends second
	# Its own answers are among the calls at which it is struck.
	until coffer ps --json 2>/dev/null | jq -e '.attachments == []' >/dev/null; do
		[[ $(ps -o stat= -p "$broker_pid" || true) =~ ^[^Z] ]] || break
	done
}

for call in unlinkat close pidfd_send_signal; do
	for ((n = 1; n < 40; n++)); do
		begins first
		begins second
		strike "$call" "$n" both_end
		[[ $struck == no ]] || start_broker
		counts_become "$began"
		[[ $struck == yes ]] || break
	done
	echo "$call: struck $((n - 1)) times"
done
[[ $kills -ge 10 ]] || fail "only $kills kills"
