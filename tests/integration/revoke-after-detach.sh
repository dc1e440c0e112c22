#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Detaching, and unmounting from inside, cut off what is open: no page of a value stays readable with a process that has
# its file open, though nobody serves the mount any more.
. "$(dirname "$0")/lib.sh"

unsealed_broker
put db value
succeeds coffer grant db --container web
container web --jq '.process.capabilities |= with_entries(.value += ["CAP_SYS_ADMIN"])' # to unmount

holder() { # NAME: a process of web with the file open and read, which reads it again when told to
	mkfifo "$D/go-$1" "$D/said-$1"
	runc exec web sh -c 'exec 3</run/secrets/db; cat <&3; echo; read -r _; cat /proc/self/fd/3 2>&1' \
		<"$D/go-$1" >"$D/said-$1" 2>&1 &
	exec {go}>"$D/go-$1" {said}<"$D/said-$1"
	read -r line <&"$said"
	[[ $line == value ]] || fail "the process with an open file said '$line'"
}

reads_no_more() {
	echo >&"$go"
	read -r line <&"$said" || true
	exec {go}>&- {said}<&-
	[[ $line != *value* ]] || fail "the open file still gives '$line'"
}

holder detached
succeeds coffer detach web
reads_no_more
audit_has detach '.container == "web"'

succeeds coffer attach web
holder unmounted
succeeds in_container web umount -l /run/secrets
await_audit mount.lost '.container == "web"'
reads_no_more
