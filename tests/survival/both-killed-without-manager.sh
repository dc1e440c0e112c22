#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Broker and workers killed at once where no service manager keeps descriptors: that, and that alone, costs the mounts.
# Readers get an error at once (but for what the kernel still has in its pages) instead of waiting for ever; the next broker
# takes the dead mounts off and mounts anew, so that a file opened again is there; no worker and no old mount is left over.
. "$(dirname "$0")/../integration/lib.sh"

ROUNDS=5
names=(web other plain)

broker_options=(--keyfile "$D/key")
unsealed_broker
put db secret-value
put unread never-read-before
for name in web other; do
	succeeds coffer grant db --container "$name"
	succeeds coffer grant unread --container "$name"
done
for name in "${names[@]}"; do
	container "$name"
done
reads web /run/secrets/db secret-value
reads other /run/secrets/db secret-value

mounts_of() { # CONTAINER: file systems at its /run/secrets, one on the other
	in_container "$1" cat /proc/self/mounts | grep -c ' /run/secrets fuse' || true
}

for ((round = 0; round < ROUNDS; round++)); do
	mapfile -t workers < <(coffer ps --json | jq '.attachments[].worker // empty')
	[[ ${#workers[@]} -eq 2 ]] || fail "round $round: ${#workers[@]} workers serve"
	# One has a file open over it.
	mkfifo "$D/go" "$D/said"
	runc exec web sh -c 'exec 3</run/secrets/unread; echo opened; read -r _; cat /run/secrets/db; cat <&3; echo "status $?"' \
		<"$D/go" >"$D/said" 2>&1 &
	exec {go}>"$D/go" {said}<"$D/said"
	rm "$D/go" "$D/said"
	read -r line <&"$said"
	[[ $line == opened ]] || fail "the process with an open file said '$line'"

	pid=$broker_pid
	kill -9 "$pid" "${workers[@]}"
	wait "$pid" || true
	broker_pid=
	"$here/await" end "${workers[@]}"
	# Nobody is there to answer, and the kernel says so.
	run in_container other cat /run/secrets/db
	[[ $status -ne 0 ]] || fail "a mount without a server was read"
	grep -qE 'not connected|Connection aborted' "$D/err" || fail "a read of a dead mount said '$(cat "$D/err")'"

	start_broker # it is ready before it has mounted anew; a put returns when all show what they are to see
	put tick "$round"
	reads web /run/secrets/db secret-value
	reads other /run/secrets/db secret-value
	echo >&"$go"
	exec {go}>&-
	cat <&"$said" >"$D/open"
	exec {said}<&-
	grep -q secret-value "$D/open" || fail "the process does not find the new mount: $(cat "$D/open")"
	grep -qE 'not connected|aborted|I/O error' "$D/open" || fail "a file of the lost mount was read: $(cat "$D/open")"
	for name in web other; do
		[[ $(mounts_of "$name") -eq 1 ]] || fail "round $round: $name has $(mounts_of "$name") mounts"
	done
	succeeds coffer ps --json
	says_json '[.attachments[] | select(.state == "attached")] | length == 2'
	says_json '.attachments | length == 3'
done

put db newer-value
reads web /run/secrets/db newer-value
reads other /run/secrets/db newer-value
succeeds coffer grant db --container plain # nothing was mounted there: as ever
reads plain /run/secrets/db newer-value
succeeds coffer audit verify
