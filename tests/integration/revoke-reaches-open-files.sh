#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Revocation, and removal, take the name away and make reads of descriptors opened before fail with EACCES.
. "$(dirname "$0")/lib.sh"

unsealed_broker

# start_reader CONTAINER PATH: opens, reads a byte, then, when told, reads again and says how that went.
start_reader() {
	rm -f "$D/go" "$D/said"
	mkfifo "$D/go" "$D/said"
	runc exec "$1" sh -c '
		exec 3<"$1"
		head -c 1 <&3 >/dev/null && echo opened
		read -r _
		cat <&3 2>&1
		echo "status $?"' reader "$2" <"$D/go" >"$D/said" 2>&1 &
	reader=$!
	exec {go}>"$D/go" {said}<"$D/said"
	read -r line <&"$said"
	[[ $line == opened ]] || fail "the reader said '$line'"
}
finish_reader() {
	echo >&"$go"
	cat <&"$said" >"$D/reader"
	exec {go}>&- {said}<&-
	wait "$reader"
}

large=$(head -c 300000 /dev/zero | tr '\0' x)
for way in revoke rm; do
	put "by-$way" "$large"
	succeeds coffer grant "by-$way" --container web
	grant=$(cat "$D/out")
	[[ $grant =~ ^[0-9a-f]{16}$ ]] || fail "grant printed '$grant'"
	[[ $way != revoke ]] || container web
	start_reader web "/run/secrets/by-$way"
	case $way in
	revoke) succeeds coffer revoke "$grant" ;;
	rm) succeeds coffer rm "by-$way" ;;
	esac
	lacks web "/run/secrets/by-$way"
	finish_reader
	grep -q 'Permission denied' "$D/reader" || fail "after $way the open file said: $(head -c 300 "$D/reader")"
	grep -q 'status 1' "$D/reader" || fail "after $way reading an open file did not fail"
done
succeeds in_container web ls /run/secrets
says ''
