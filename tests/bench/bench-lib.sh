# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the rows of the benchmark share: sourced first by each, which then has a broker and containers of its own, as
# the tests have (../integration/lib.sh).
#
# A row prints lines of JSON on its standard output, and what it does meanwhile on standard error:
#
#   {"row": ID, "case": TEXT, "unit": UNIT, "ours": NUMBER, "floor": NUMBER or null, "floor_is": TEXT, "samples":
#    {"ours": [...], "floor": [...]}}
#
# COFFER_BENCH_QUICK=1: a tenth of everything, to see that it runs.
bench=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../integration/lib.sh
. "$bench/../integration/lib.sh"

LOOK=$COFFER_BUILD/tests/bench/bench-look
FLOOR_SERVER=$COFFER_BUILD/tests/bench/bench-floor-server
CALLS=$COFFER_BUILD/tests/bench/bench-calls
STORE_FLOOR=$COFFER_BUILD/tests/bench/bench-store-floor
quick=${COFFER_BENCH_QUICK:-0}
opened=0 # opens of secrets that were made and told so by who made them: account()

scaled() { # NUMBER: of that a tenth in a quick run, and 1 at the least
	local n=$(($1 / (quick ? 10 : 1)))
	echo $((n > 0 ? n : 1))
}
told() {
	echo "   $*" >&2
}

# result ROW CASE UNIT FLOOR-IS <samples: lines of {"ours": N} and {"floor": N}: the medians of both
result() {
	jq -sc --arg row "$1" --arg case "$2" --arg unit "$3" --arg is "$4" '
		def median: sort | if length == 0 then null
			elif length % 2 == 1 then .[length / 2 | floor] else (.[length / 2 - 1] + .[length / 2]) / 2 end;
		{ours: map(.ours | values), floor: map(.floor | values)} as $s
		| {row: $row, case: $case, unit: $unit, ours: ($s.ours | median), floor: ($s.floor | median), floor_is: $is,
			samples: $s}'
}

# The floor of what a worker does: bench-floor-server with files of these sizes, at $D/floor.
start_floor() { # SIZE...
	mkdir -p "$D/floor"
	mkfifo "$D/floor.ready"
	"$FLOOR_SERVER" "$D/floor" "$@" >"$D/floor.ready" &
	floor_job=$!
	read -r floor_pid <"$D/floor.ready"
	on_exit+=("kill -9 $floor_pid; wait $floor_job; umount '$D/floor'")
}

random_value() { # BYTES
	head -c "$1" /dev/urandom
}
put_random() { # NAME BYTES
	random_value "$2" | coffer put "$1" >/dev/null
}

worker_of() { # NAME
	coffer ps --json | jq ".attachments[] | select(.container == \"$1\") | .worker"
}

# All threads of these processes stay on one processor, or may run on all.
pin() { # CPUS PID...
	local pid
	for pid in "${@:2}"; do
		taskset -a -p -c "$1" "$pid" >/dev/null
	done
}
all_cpus=0-$(($(nproc --all) - 1))

# The log accounts for every open of a secret that was made: the reader's numbers and the log's are the same.
account() {
	local logged
	coffer audit --json >"$D/audit"
	logged=$(jq -s 'map(select(.event == "open" and .result == "granted") | .count) | add // 0' "$D/audit")
	[[ $logged -eq $opened ]] || fail "$opened opens of secrets were made, and $logged are in the log"
	told "$opened opens, each in the log"
}
