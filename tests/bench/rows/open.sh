#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# open, read, close of a secret in a container, checks and records on, beside the least libfuse server: one process on one
# processor with its server, and free; then 16 readers.
. "$(dirname "${BASH_SOURCE[0]}")/../bench-lib.sh"

unsealed_broker
start_floor 64 4096
for size in 64 4096; do
	put_random "bench/$size" "$size"
	succeeds coffer grant "bench/$size" --container reader
done
container reader --tmpfs /dev/shm --mount "$D/floor:/floor" --mount "$LOOK:/look"
worker=$(worker_of reader)

look() { # OUTPUT-FILE ARGUMENT...: in the container; counts what it opens of ours
	runc exec "${on_cpu[@]}" reader /look "${@:2}" >"$1"
	opened=$((opened + $(jq -s 'map(select(.path | startswith("/run/secrets")) | .count) | add' "$1")))
}
samples() { # FILE FIELD SIZE
	jq -c ".path as \$p | {(if \$p == \"/run/secrets/$3\" then \"ours\" elif \$p == \"/floor/$3\" then \"floor\" else \"else\" end): $2}" "$1"
}
latency() { # CASE
	local size
	look "$D/look" open "$(scaled 5000)" 21 /run/secrets/64 /floor/64 /run/secrets/4096 /floor/4096
	opened=$((opened + 2)) # each was read once before it is measured
	for size in 64 4096; do
		samples "$D/look" '.ns["p50"]' $size | result open-p50 "$size B, $1" ns "least libfuse server"
		samples "$D/look" '.ns["p99"]' $size | result open-p99 "$size B, $1" ns "least libfuse server"
	done
	jq -c --arg case "$1" '{distribution: "open", case: $case, path: .path, ns: .ns}' "$D/look"
}

on_cpu=(--env COFFER_BENCH_CPU=0)
pin 0 "$worker" "$floor_pid"
told "one reader, on one processor with its server"
latency 'one processor'
on_cpu=()
pin "$all_cpus" "$worker" "$floor_pid"
told "one reader, free"
latency free

told "16 readers"
for size in 64 4096; do
	look "$D/look" rate 16 "$(scaled 1000)" 9 "/run/secrets/$size" "/floor/$size"
	opened=$((opened + 1))
	samples "$D/look" .per_s $size | result open-rate "$size B, 16 readers" opens/s "least libfuse server"
done
account
