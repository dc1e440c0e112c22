#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Broker and workers killed at once, under a real systemd: its descriptor store brings every mount back. Readers in all
# containers see no error and nothing that has changed, whether the processes are killed one by one or both units by
# their manager. Afterwards puts reach every container, revocation reaches what is open, and the log has every open once.
. "$(dirname "$0")/systemd-lib.sh"

CONTAINERS=10
ROUNDS=20

boot keyfile_in_clear
succeeds coffer init --keyfile "$KEYFILE"
put db secret-value
head -c 100000 /dev/urandom | coffer put large >/dev/null
succeeds coffer grant db --runtime runc
grant=$(cat "$D/out")
succeeds coffer grant large --runtime runc

names=()
for ((i = 1; i <= CONTAINERS; i++)); do
	names+=("c$i")
	container "c$i" --tmpfs /tmp
done
unit_says NFileDescriptorStore $((3 * CONTAINERS))

# Each opens four files in a row, 20 times a second and more; every second of them keeps files open and mapped.
for name in "${names[@]}"; do
	reader_options=(--processes 2 --pause-us 20000)
	((${name#c} % 2)) || reader_options+=(--hold --cold)
	reader_start "$name" /run/secrets/db /run/secrets/large
done

for ((round = 1; round <= ROUNDS; round++)); do
	before=$(broker_pid)
	mapfile -t workers < <(worker_pids)
	[[ ${#workers[@]} -eq $CONTAINERS ]] || fail "round $round: ${#workers[@]} workers for $CONTAINERS containers"
	if ((round % 4 == 0)); then
		machine systemctl kill --signal=KILL cofferd.service coffer-spawner.service
		signals=$((signals + 1 + ${#workers[@]}))
	else
		send_signal KILL "$before" "${workers[@]}" # the broker first, so that it notices nothing
	fi
	# An event for each: its own process is answered by the successor of its worker.
	for name in "${names[@]}"; do
		reads "$name" /run/secrets/db secret-value
	done
	after=$(broker_pid)
	[[ $after != 0 && $after != "$before" ]] || fail "round $round: the broker is '$after', it was $before"
	unit_says NFileDescriptorStore $((3 * CONTAINERS))
done
for name in "${names[@]}"; do
	reader_end "$name"
done
no_reader_failed "both killed at once ($signals kills in $ROUNDS rounds)"

# Everything is as before: puts reach all, each once.
put db newer-value
for name in "${names[@]}"; do
	reads "$name" /run/secrets/db newer-value
done
succeeds coffer ps --json
says_json ".attachments | length == $CONTAINERS and all(.[]; .state == \"attached\")"

# What is open is reached too.
mkfifo "$D/go" "$D/said"
runc exec c1 sh -c 'exec 3</run/secrets/db; echo opened; read -r _; cat <&3 2>&1' <"$D/go" >"$D/said" 2>&1 &
exec {go}>"$D/go" {said}<"$D/said"
read -r line <&"$said"
[[ $line == opened ]] || fail "the process with an open file said '$line'"
succeeds coffer revoke "$grant"
echo >&"$go"
read -r line <&"$said"
[[ $line == *"Permission denied"* ]] || fail "after the revocation the open file says '$line'"
exec {go}>&- {said}<&-
lacks c1 /run/secrets/db
lacks c2 /run/secrets/db

# The log accounts for every open of every reader, and of each check above: none lost, none twice.
succeeds coffer audit verify
opens=0
for name in "${names[@]}"; do
	n=$(grep '^{' "$D/$name.reads" | jq .opens)
	opens=$((opens + n + ROUNDS + 1)) # each round's check, and the one of the new value
done
opens=$((opens + 1)) # that which was left open
logged=$(coffer audit --json | jq -s 'map(select(.event == "open" and .result == "granted") | .count) | add')
[[ $logged -eq $opens ]] || fail "$opens opens were made, the log has $logged"

# A container that ends takes what the manager kept for it along.
delete_container c1
await_audit end '.container == "c1"'
unit_says NFileDescriptorStore $((3 * CONTAINERS - 3))
