#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# From a put to a reader in the container that sees it, beside one rename on tmpfs seen the same way.
. "$(dirname "${BASH_SOURCE[0]}")/../bench-lib.sh"

unsealed_broker
put_random bench/0 64
succeeds coffer grant bench/0 --container reader
mkdir "$D/tmpfs"
mount -t tmpfs tmpfs "$D/tmpfs"
"$STORE_FLOOR" "$D/tmpfs" rename 1 >/dev/null
container reader --mount "$D/tmpfs:/floor" --mount "$LOOK:/look"
count=$(scaled 100)

measured() { # KIND PATH COMMAND...: begin of the change to its sight, for each of COUNT
	local kind=$1 path=$2 line at
	shift 2
	exec {reader}< <(exec "${runc_look[@]}" seen "$count" "$path" 2>>"$D/look.log")
	read -r -u "$reader" line
	[[ $line == *ready* ]] || fail "look said '$line'"
	for ((i = 0; i < count; i++)); do
		begin=$("$@" | jq .begin)
		read -r -t 60 -u "$reader" line || fail "it was not seen"
		at=$(jq .at <<<"$line")
		echo "{\"$kind\": $((at - begin))}"
	done
	exec {reader}<&-
}
runc_look=(runc --root "$D/runc" exec reader /look)
{
	measured ours /run/secrets/0 "$CALLS" "$RUN" put 1 1 64 bench
	measured floor /floor/file "$STORE_FLOOR" "$D/tmpfs" rename 1
} | result visible 'one container' ns 'one rename on tmpfs'
