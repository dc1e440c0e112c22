#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Rows 26 and 43 of docs/threats.md: what a runtime's hook is told, and what lies in a bundle, may be made to break the
# reader. The container does not start, or is not attached, with a reason; the broker is untouched.
. "$(dirname "$0")/duel.sh"

duel
container victim
victim=$(container_pid victim)
spawner=$(pgrep -P "$broker_pid")

# 26: through the runtime, with the real hook: annotations that climb, long ones, a container that is another's.
starts_not() { # NAME
	run runc run --detach --bundle "$D/$1.bundle" "$1" </dev/null
	[[ $status -ne 0 ]] || fail "$1 started"
	audit_lacks register ".container == \"$1\""
}
bundle climbing --hook --jq '.annotations["../../x"] = "y"'
starts_not climbing
bundle climbing-value --hook --jq '.annotations["x"] = "../../etc/shadow"'
starts_not climbing-value
bundle long --hook --jq '.annotations["x" * 65536] = "y"'
starts_not long
bundle control --hook --jq '.annotations["x\u001b[2J"] = "y"'
starts_not control

# By hand: another container's process, ours by name; the host's own processes; kernel threads; a process of nobody.
tell() { # WHAT JQ-FILTER
	jq -n --argjson pid "$victim" --arg bundle "$D/victim.bundle" \
		"{ociVersion: \"1.0.2\", id: \"attacker\", status: \"creating\", pid: \$pid, bundle: \$bundle} | $2" >"$D/state.json"
	run "$HOOK" --runtime-dir "$RUN" <"$D/state.json"
	run sh -c "'$HOOK' --runtime-dir '$RUN' <'$D/state.json'"
	[[ $status -eq 1 ]] || fail "$1: the hook ended with status $status"
	[[ $(wc -l <"$D/err") -eq 1 ]] || fail "$1: the hook said $(cat "$D/err")"
}
refused() { # WHAT JQ-FILTER: by the broker, with a record
	tell "$@"
	await_audit register.refused '.id == "attacker" and .reason != ""'
	audit_lacks register '.container == "attacker"'
}
refused "another container's process" .
refused "the broker" ".pid = $broker_pid"
refused "a process of the host" ".pid = $$"
refused "a kernel thread" '.pid = 2'
refused "nobody" '.pid = 4194303'
refused "another bundle" '.bundle = "/etc"'
tell "init" '.pid = 1'
tell "minus one" '.pid = -1'

# 43: a bundle's bytes, changed under a container that runs.
armed_bundle prey --tmpfs /run
jq 'del(.hooks)' "$D/prey.bundle/config.json" >"$D/good.json"
cp "$D/good.json" "$D/prey.bundle/config.json"
run_container prey
succeeds coffer grant own-secret --container prey
attach_fails() { # WHAT
	run coffer attach prey
	[[ $status -eq 1 ]] || fail "$1: attach ended with status $status: $(cat "$D/out" "$D/err")"
	[[ $(wc -l <"$D/err") -eq 1 && $(wc -c <"$D/err") -lt 2000 ]] || fail "$1: $(head -c 3000 "$D/err")"
	await_audit register.refused '.id == "prey" and .reason != ""'
	[[ $(pgrep -P "$broker_pid") == "$spawner" ]] || fail "$1: the broker's spawner is another one"
	reads victim /run/secrets/victim-secret "$VICTIM_VALUE"
}
config=$D/prey.bundle/config.json
: >"$config"; attach_fails "nothing"
head -c 100000 /dev/urandom >"$config"; attach_fails "noise"
printf '{"annotations":' >"$config"; attach_fails "half"
head -c 1000000 /dev/zero | tr '\0' '[' >"$config"; attach_fails "deep"
head -c 1000000 /dev/zero | tr '\0' '{' | sed 's/{/{"a":/g' >"$config"; attach_fails "deep objects"
truncate -s 200M "$config"; attach_fails "huge"
jq -c . "$D/good.json" | tr -d '\n' >"$config"; head -c 1 /dev/zero >>"$config"; printf '{}' >>"$config"; attach_fails "a NUL"
jq -c '.annotations = {a: "\u0000"}' "$D/good.json" >"$config"; attach_fails "a NUL in a string"
jq -c '.process = 5' "$D/good.json" >"$config"; attach_fails "a process of the wrong kind"
jq -c '.root = []' "$D/good.json" >"$config"; attach_fails "a root of the wrong kind"
jq -c '.annotations = [1, 2]' "$D/good.json" >"$config"; attach_fails "annotations of the wrong kind"
sed '0,/{/s//{"root":{},/' "$D/good.json" >"$config"; attach_fails "a key twice"
printf '{"annotations":{"a":"\xff\xfe"}}' >"$config"; attach_fails "no UTF-8"
rm "$config"; mkfifo "$config"; attach_fails "a pipe"
rm "$config"; ln -s /dev/zero "$config"; attach_fails "a device behind a link"
rm "$config"; cp "$D/good.json" "$config"
succeeds coffer attach prey
reads prey /run/secrets/own-secret "$OWN_VALUE"
all_is_well
