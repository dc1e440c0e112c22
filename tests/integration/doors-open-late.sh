#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A broker that comes back lets nobody in before it knows the containers of the one before: who asks meanwhile waits, an
# operator's first answer lists them all, and a program of one of them is not taken for a container of its own.
. "$(dirname "$0")/lib.sh"

unsealed_broker
put db secret-value
succeeds coffer grant db --runtime runc
container one
container two --mount "$RUN/workload:/coffer" --with socat

operator=
program=
on_exit+=('kill -9 $operator $program 2>/dev/null')
for _ in 1 2 3 4 5; do
	stop_broker KILL
	# Both are there as soon as somebody listens.
	until "$COFFER_BUILD/client/coffer" ps --json >"$D/first" 2>>"$D/asked.log"; do :; done &
	operator=$!
	# shellcheck disable=SC2016 # the container's shell expands it
	runc exec two sh -c 'until printf "%s\0" "$1" | socat -t 20 - UNIX-CONNECT:/coffer/sock; do :; done' ask \
		'{"method":"io.coffer.workload.Get","parameters":{"path":"db"}}' >"$D/answer" 2>>"$D/asked.log" </dev/null &
	program=$!
	start_broker --keyfile "$D/key"
	wait "$operator" "$program"
	operator=
	program=
	jq -e '.attachments | map(.container) | sort == ["one", "two"]' "$D/first" >/dev/null ||
		fail "the first answer to an operator was $(cat "$D/first")"
	grep -q '"value"' "$D/answer" || fail "the program was told: $(cat "$D/answer")"
	succeeds coffer ps --json
	says_json '.attachments | length == 2 and all(.[]; .state == "attached")'
done
reads two /run/secrets/db secret-value
