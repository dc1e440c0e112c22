#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A store of 100,000 secrets of 1 KiB: memory, opening it, listing, looking up; and durable puts, beside bare SQLite and bare
# appends on the same disk.
. "$(dirname "${BASH_SOURCE[0]}")/../bench-lib.sh"

rss_kib() { awk '/^VmRSS:/ { print $2 }' "/proc/$broker_pid/status"; }
calls() { "$CALLS" "$RUN" "$@"; }

# ---- puts, interleaved with the floor on the same disk ----

mkdir -p "$STATE" "$D/disk"
broker_options=(--keyfile "$D/key")
unsealed_broker
per_s() { jq -c "{$1: (.calls * $2 * 1e9 / (.end - .begin))}"; }
for batch in 1 100; do
	count=$(scaled $((batch == 1 ? 300 : 30)))
	: >"$D/puts"
	: >"$D/puts.append"
	for ((round = 0; round < 7; round++)); do
		calls put "$count" $batch 1024 "bench/put$batch" | per_s ours $batch >>"$D/puts"
		"$STORE_FLOOR" "$D/disk" sqlite "$count" $batch 1024 | per_s floor $batch >>"$D/puts"
		"$STORE_FLOOR" "$D/disk" append "$count" $batch 1024 | per_s floor $batch >>"$D/puts.append"
	done
	told "puts, $batch in a transaction"
	result put "$batch in a transaction" puts/s 'bare SQLite, full sync' <"$D/puts"
	cat <(grep ours "$D/puts") "$D/puts.append" | result put-append "$batch in a transaction" puts/s 'bare append, fdatasync'
done
rm -rf "$D/disk"

# ---- 10 to 100,000 secrets ----

stop_broker TERM
rm -r "$STATE"
unsealed_broker
empty=$(rss_kib)
total=0
for target in 10 100 1000 10000 100000; do
	[[ $quick -eq 0 || $target -le 10000 ]] || break
	# Names are under a folder for each step: what was there stays.
	calls fill $(((target - total) / (target < 100 ? 10 : 90))) $((target < 100 ? 10 : 90)) 1024 "n$target" >/dev/null
	total=$(coffer ls --json | jq '.secrets | length')
	stop_broker TERM
	begin=$(date +%s%N)
	start_broker
	echo "{\"ours\": $((($(date +%s%N) - begin) / 1000000))}" >"$D/opening"
	for ((round = 0; round < 4; round++)); do
		stop_broker TERM
		begin=$(date +%s%N)
		start_broker
		echo "{\"ours\": $((($(date +%s%N) - begin) / 1000000))}" >>"$D/opening"
	done
	names=$(coffer ls | awk '{ n += length($1) } END { print n / 1024 }')
	told "$total secrets"
	result store-open "$total secrets" ms '' <"$D/opening"
	printf '{"ours": %d}\n{"floor": %d}\n' "$(rss_kib)" "${names%.*}" | result store-resident "$total secrets" KiB 'the names'
	for ((round = 0; round < 7; round++)); do
		calls info "$(scaled 2000)" n10/00000003 | jq -c '{ours: .ns.p50}'
	done | result store-lookup "$total secrets" ns ''
done
calls fill 1 100 1024 hundred >/dev/null
for ((round = 0; round < 7; round++)); do
	calls list "$(scaled 200)" hundred/ | jq -c '{ours: .ns.p50}'
done | result store-list "100 names of $total" ns ''
told "an empty broker has $empty KiB"
