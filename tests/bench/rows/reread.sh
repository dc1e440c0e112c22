#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The second and later read of an open file, and mapping it, beside a file on tmpfs: both are the kernel's page cache.
. "$(dirname "${BASH_SOURCE[0]}")/../bench-lib.sh"

unsealed_broker
put_random bench/4096 4096
put_random bench/large 65536
succeeds coffer grant bench/4096 --container reader
succeeds coffer grant bench/large --container reader
container reader --tmpfs /shm --mount "$LOOK:/look"
succeeds in_container reader sh -c 'head -c 4096 /dev/zero >/shm/4096; head -c 65536 /dev/zero >/shm/large'

for how in read map; do
	for name in 4096 large; do
		runc exec reader /look $how "$(scaled 20000)" 21 "/run/secrets/$name" "/shm/$name" >"$D/look"
		# once before it is measured, and once in each round
		opened=$((opened + 1 + $(jq -s 'map(select(.path | startswith("/run"))) | length' "$D/look")))
		jq -c '{(if .path | startswith("/run") then "ours" else "floor" end): .ns["p50"]}' "$D/look" |
			result "re$how" "$([[ $name == large ]] && echo 64 KiB || echo 4 KiB)" ns tmpfs
	done
done
account
