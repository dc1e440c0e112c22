#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Rows 25, 44 and 28 of docs/threats.md: the operator's door is closed to containers, by more than its mode, and half
# open to the operators' group; text that comes from strangers is shown harmless.
. "$(dirname "$0")/duel.sh"

operators=$(getent group games | cut -d: -f3)
write_config '. + {operator_group: "games"}'
client=$COFFER_BUILD/client/coffer
member() {
	setpriv --reuid 65533 --regid 65533 --groups "$operators" env HOME=/ "$@"
}

# 44, before there is a store: the client opens what it is told as who calls it, and the broker makes a store for root.
start_broker
fails 1 'shadow.*(denied|permission)|root' member "$client" init --keyfile /etc/shadow
fails 1 'denied|permission|root' member "$client" init --passphrase-file /etc/hostname
audit_has denied '.uid == 65533 and .by == "Init"'
duel
container victim

# 25: root in a container that has the folder, be it in a namespace of its own or in the host's.
call_get='printf "%s\0" "{\"method\":\"io.coffer.operator.Get\",\"parameters\":{\"name\":\"victim-secret\"}}" |
	socat -t 10 - UNIX-CONNECT:/broker/operator.sock'
denials() {
	coffer audit --json | jq -s "map(select(.event == \"denied\" and (.reason | test(\"$1\"))) | .count // 1) | add // 0"
}
knock() { # NAME REASON
	local before
	before=$(denials "$2")
	run in_container "$1" sh -c "$call_get"
	nothing_of_the_victim
	[[ ! -s $D/out ]] || fail "$1 was answered: $(cat "$D/out")"
	[[ $(denials "$2") -gt $before ]] || fail "$1: no record with '$2': $(coffer audit --json | grep denied | tail -n 2)"
}
container inside --mount "$RUN:/broker" --with socat
knock inside 'namespace|container|cgroup'
container weak --mount "$RUN:/broker" --with socat --jq '.linux.namespaces |= map(select(.type == "mount")) | del(.hostname)'
knock weak 'namespace|container|cgroup'
container mapped --userns --mount "$RUN:/broker" --with socat --jq '.process.user.additionalGids = [60]'
run in_container mapped sh -c "$call_get"
nothing_of_the_victim
# Registered or not: this one is known to nobody.
bundle unknown --mount "$RUN:/broker" --with socat
run_container unknown
knock unknown 'namespace|container|cgroup'

# 44: a member of the group.
succeeds member "$client" get victim-secret
says "$VICTIM_VALUE"
fails 1 '(denied|permission|root)' member "$client" attach victim
audit_has denied '.uid == 65533 and .by == "Attach"'
member_calls() { # METHOD PARAMETERS
	printf '%s\0' "{\"method\":\"io.coffer.operator.$1\",\"parameters\":$2}" |
		member socat -t 10 - "UNIX-CONNECT:$RUN/operator.sock" | tr '\0' '\n' >"$D/out"
	says_json '.error | endswith(".Denied") or endswith(".PermissionDenied")'
	audit_has denied ".uid == 65533 and .by == \"$1\""
}
pid=$(container_pid victim)
member_calls Register "{\"id\":\"x\",\"pid\":$pid,\"bundle\":\"$D/victim.bundle\"}"
member_calls Unregister '{"id":"victim"}'
member_calls Detach '{"container":"victim"}'
member_calls Attach "{\"pid\":$pid}"
member_calls Init '{"kind":"keyfile"}'
# No method takes a path of the host: one that is sent is refused as unknown, and nothing is opened.
printf '%s\0' '{"method":"io.coffer.operator.Unseal","parameters":{"keyfile":"/etc/shadow"}}' |
	member socat -t 10 - "UNIX-CONNECT:$RUN/operator.sock" | tr '\0' '\n' >"$D/out"
says_json '.error'
never 'root:|\$y\$|\$6\$'

# 28: names that put refuses, and text of strangers on its way to a terminal.
for name in . .. a/../b a//b -a 'a b' $'a\nb' $'a\eb' $'a\x01b' A "$(head -c 256 /dev/zero | tr '\0' a)" a/ /a; do
	run coffer put -- "$name" --file /dev/null
	[[ $status -ne 0 ]] || fail "put took the name '$name'"
done
evil=$'x\r\nforged\e[2J'
armed attacker --jq ".annotations[\"note\"] = \"x\\r\\nforged\\u001b[2J\""
attack attacker ask /coffer/sock Get '{"path":"x\r\nforged\u001b[2J"}'
audit_has api.get '.container == "attacker" and .result == "ENOENT" and (.text | test("forged"))'
run cat "/proc/$pid/root/run/secrets/$evil"
audit_has lookup '.container == "victim" and .result == "EACCES" and (.text | test("forged"))'
for show in 'audit' 'audit --json' 'explain attacker' 'ps' 'ls' 'grants'; do
	# shellcheck disable=SC2086
	succeeds coffer $show
	! LC_ALL=C grep -qP '[\x00-\x08\x0b-\x1f\x7f]' "$D/out" || fail "coffer $show prints control bytes"
	! grep -q '^forged' "$D/out" || fail "coffer $show: a line was forged"
done
! LC_ALL=C grep -qP '[\x00-\x08\x0b-\x1f\x7f]' "$LOG" || fail "the broker's log has control bytes"
jq -e . "$STATE/audit/log.jsonl" >/dev/null || fail "a line of the log is no JSON"
all_is_well
