#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Hook input of every wrong kind is refused with a sentence, the container does not start, and the broker goes on.
. "$(dirname "$0")/lib.sh"

unsealed_broker
put db value
succeeds coffer grant db --container web
container web
pid=$(container_pid web)
state() { # JQ-FILTER: a good state, changed
	jq -n --argjson pid "$pid" --arg bundle "$D/web.bundle" \
		"{ociVersion: \"1.0.2\", id: \"x\", status: \"creating\", pid: \$pid, bundle: \$bundle} | $1"
}
hook() {
	"$HOOK" --runtime-dir "$RUN" <"$D/input"
}
hook_fails() { # WHAT
	run hook
	[[ $status -eq 1 ]] || fail "$1: the hook ended with status $status: $(cat "$D/out" "$D/err")"
	[[ $(wc -l <"$D/err") -eq 1 ]] || fail "$1: the hook said: $(head -c 1000 "$D/err")"
}
while IFS= read -r filter; do
	state "$filter" >"$D/input"
	hook_fails "$filter"
done <<-'FILTERS'
	del(.id)
	del(.pid)
	del(.bundle)
	del(.status)
	.pid = -1
	.pid = 0
	.pid = 1
	.pid = 1.5
	.pid = "12"
	.pid = 999999999
	.pid = 99999999999999999999
	.id = ""
	.id = "../../x"
	.id = ("x" * 65536)
	.id = {}
	.bundle = "relative"
	.bundle = "/nosuch"
	.bundle = (.bundle + "/../web.bundle")
	.status = "nonesuch"
	.annotations = []
	.annotations = {a: 5}
	FILTERS
printf '' >"$D/input"; hook_fails 'nothing'
printf '{' >"$D/input"; hook_fails 'half an object'
printf '[1]' >"$D/input"; hook_fails 'an array'
printf '{"id":"a","id":"b","pid":%s,"bundle":"/x","status":"creating"}' "$pid" >"$D/input"
hook_fails 'a key twice'
printf '{"id":"a\\u0000b","pid":%s,"bundle":"/x","status":"creating"}' "$pid" >"$D/input"
hook_fails 'a NUL'
head -c 20000000 /dev/zero | tr '\0' ' ' >"$D/input"; hook_fails '20 MB'
{ head -c 100000 /dev/zero | tr '\0' '['; } >"$D/input"; hook_fails 'deep'
head -c 4096 /dev/urandom >"$D/input"; hook_fails 'noise'

# A refused registration fails the start, through the runtime: here the bundle names a process that is not in it.
put other value
reads web /run/secrets/db value
succeeds coffer status
[[ $(coffer ps --json | jq '.attachments | length') -eq 1 ]] || fail "a wrong registration stayed: $(coffer ps)"

# Started with no state at all, by hand.
fails 1 'usage|state|stdin|input|hook' "$HOOK" --runtime-dir "$RUN"
fails 2 'option' "$HOOK" --nosuch
