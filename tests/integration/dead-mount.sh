#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A mount whose workers die again and again is given up: readers get an error, not a spin. `coffer attach`, and a
# change, bring it back in the place of the dead one.
. "$(dirname "$0")/lib.sh"

# A worker that can be exchanged for one that ends at once.
cp "$COFFER_BUILD/fuse/cofferfs" "$D/good"
cp /bin/false "$D/bad"
chmod 755 "$D/good" "$D/bad"
workers_are() { # good|bad
	ln -sfn "$1" "$D/new"
	mv -T "$D/new" "$D/worker"
}
workers_are good
write_config ". + {worker_path: \"$D/worker\"}"
unsealed_broker
put db first
succeeds coffer grant db --container web
container web
reads web /run/secrets/db first

web_is() { # JQ-FILTER
	succeeds coffer ps --json
	says_json ".attachments[] | select(.container == \"web\") | $1"
}
crash() { # returns when the mount is given up
	local before worker
	before=$(coffer audit --json | jq -s 'last.seq')
	worker=$(coffer ps --json | jq '.attachments[] | select(.container == "web") | .worker')
	workers_are bad
	kill -9 "$worker"
	await_audit attach.failed ".container == \"web\" and .seq > $before"
	workers_are good
	run in_container web cat /run/secrets/db
	[[ $status -ne 0 ]] || fail "a file without a worker has '$(cat "$D/out")'"
	web_is '.state == "failed" and (.reason | test("again and again.*coffer attach"))'
	kill -0 "$broker_pid" || fail "the broker is gone"
}
one_mount() {
	succeeds in_container web grep -c ' /run/secrets ' /proc/self/mountinfo
	says 1
}

one_mount
crash
succeeds coffer attach web
reads web /run/secrets/db first
web_is '.state == "attached"'
one_mount
put db second
reads web /run/secrets/db second

# Once more, with a change that brings it back.
crash
succeeds coffer put db --file <(printf third)
[[ ! -s $D/err ]] || fail "put said: $(cat "$D/err")"
reads web /run/secrets/db third
one_mount

# And once more: taken off by its operator while it is dead.
crash
succeeds coffer detach web
succeeds coffer attach web
reads web /run/secrets/db third
one_mount
succeeds coffer audit verify
