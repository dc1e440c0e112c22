#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a new version has replaced goes as soon as nobody has it open: from the worker, and from the broker, which holds
# the value as long as it may be asked for. What is open stays until it is closed.
. "$(dirname "$0")/lib.sh"

unsealed_broker
succeeds coffer grant db --container web
put db v0
container web
reads web /run/secrets/db v0

replaced() { # how many files without a name the broker knows, after the change of before
	jq '[.nodes[] | select(.kind == 2 and (.linked or .staged | not))] | length' "$RUN"/containers/*.json
}

for ((i = 1; i <= 30; i++)); do
	put db v$i
	reads web /run/secrets/db v$i
done
put db v31
[[ $(replaced) -le 2 ]] || fail "after 31 versions the broker still knows $(replaced) that were replaced"

# One that is open, whatever comes after it.
mkfifo "$D/go" "$D/said"
runc exec web sh -c 'exec 3</run/secrets/db; echo opened; read -r _; cat <&3' <"$D/go" >"$D/said" 2>&1 &
exec {go}>"$D/go" {said}<"$D/said"
read -r line <&"$said"
[[ $line == opened ]] || fail "the process with an open file said '$line'"
for ((i = 32; i <= 40; i++)); do
	put db v$i
	reads web /run/secrets/db v$i
done
put db v41
left=$(replaced)
[[ $left -ge 1 && $left -le 3 ]] || fail "with one version open the broker knows $left that were replaced"
echo >&"$go"
line=$(cat <&"$said")
exec {go}>&- {said}<&-
[[ $line == v31 ]] || fail "the open file holds '$line'"
