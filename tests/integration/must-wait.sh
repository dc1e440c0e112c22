#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A container that the operator listed waits for a sealed or absent broker, and starts with its secrets when it is
# unsealed; if that does not come within half a minute it does not start, and the reason is said.
. "$(dirname "$0")/lib.sh"

unsealed_broker
put db value
succeeds coffer grant db --runtime runc
echo '[{"label": "needs=secrets"}]' >"$D/must-wait.json"
needing() { # NAME: it reads at once, before anything could come later
	bundle "$1" --hook --annotation needs=secrets --args 'cat /run/secrets/db' \
		--jq ".hooks.createRuntime[0].args += [\"--must-wait\", \"$D/must-wait.json\"]"
}
needing first
succeeds runc run --bundle "$D/first.bundle" first
says value

succeeds coffer seal
needing second
runc run --bundle "$D/second.bundle" second </dev/null >"$D/second.out" 2>"$D/second.log" &
second=$!
succeeds coffer unseal --keyfile "$D/key"
wait "$second" || fail "the container that waited did not start: $(cat "$D/second.log")"
[[ $(cat "$D/second.out") == value ]] || fail "it read: $(cat "$D/second.out")"

# One that is not on the list does not wait.
stop_broker
bundle third --hook --tmpfs /run --args 'echo started' \
	--jq ".hooks.createRuntime[0].args += [\"--must-wait\", \"$D/must-wait.json\"]"
succeeds runc run --bundle "$D/third.bundle" third
says started

needing fourth
run runc run --bundle "$D/fourth.bundle" fourth
[[ $status -ne 0 && ! -s $D/out ]] || fail "it started without its secrets and said: $(cat "$D/out")"
grep -qi 'coffer' "$D/err" || fail "the reason is not said: $(cat "$D/err")"
[[ -z $(ls -A "$RUN/pending" 2>/dev/null) ]] || fail "what did not start is still pending"
