# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Counting what a broker holds, for the scenarios that start and end containers: sourced behind the driver.

survival=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir "$D/fusectl"
mount -t fusectl fusectl "$D/fusectl"

counts() { # as one line of JSON
	"$survival/count" "$broker_pid" "$BROKER_CGROUP" "$RUN" "$D/fusectl"
}

# Each answer of the broker is a turn of its loop: what has ended is noticed meanwhile. Not compared are its resident
# memory, and timers: its event loop makes one for each clock that is used for the first time, and keeps it.
counts_become() { # JSON; the last count is in $D/counts
	local until=$((SECONDS + 90))
	while :; do
		coffer status >/dev/null
		counts >"$D/counts"
		! jq -en --argjson want "$1" --slurpfile got "$D/counts" \
			'($want | del(.rss_kib, .broker.timerfd)) == ($got[0] | del(.rss_kib, .broker.timerfd))' >/dev/null || return 0
		[[ $SECONDS -lt $until ]] || break
	done
	ps -o pid,ppid,stat,wchan:20,args -p "$(paste -sd, "$BROKER_CGROUP/cgroup.procs")" >&2
	find "$RUN/containers" "$RUN/workers" "$RUN/pending" -type f >&2
	fail "left behind: $(cat "$D/counts"), it began with $1"
}

rss() {
	jq .rss_kib "$D/counts"
}
