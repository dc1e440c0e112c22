#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# While the broker's disk is full and its log cannot be written, workers are killed one after the other: their successors
# find room for records, and no read fails; then the log accounts for all.
. "$(dirname "$0")/../integration/lib.sh"
. "$(dirname "$0")/crowd-lib.sh"

mkdir "$STATE"
mount -t tmpfs -o size=24m,mode=700 tmpfs "$STATE"
write_config '.audit_budget = 60'
broker_options=(--keyfile "$D/key")
unsealed_broker
crowd_secrets
for ((i = 0; i < 40; i++)); do
	succeeds coffer grant first --label crowd=1 --as "$(printf 'open/%02d' $i)" --mode 444
done
crowd 2 1000
crowd_beside many 0,1000 /run/secrets/open/{00..39}
dd if=/dev/zero of="$STATE/filler" bs=64k >/dev/null 2>&1 || true
fails 1 'space|full' coffer put other --file "$D/large.value"
dd if=/dev/zero of="$STATE/filler2" bs=4k >/dev/null 2>&1 || true
for ((i = 0; i < 12; i++)); do
	crowd_progress 50
	while read -r _ worker; do
		end_processes "$worker"
	done < <(crowd_workers)
done
crowd_progress 50
rm -f "$STATE"/filler*
succeeds coffer put other --file "$D/large.value"
crowd_stop 100
crowd_sum_beside many
crowd_accounts
crowd_report 'workers killed, disk full'
