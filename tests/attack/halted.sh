#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Row 49 of docs/threats.md: a container that stops whatever appears in its pid namespace. The process of ours that makes
# its file system is there for a moment: attaching works or fails at once, and nothing of ours stays, stopped or not.
. "$(dirname "$0")/duel.sh"

duel
container victim
succeeds coffer grant own-secret --container halting
armed halting --tmpfs /run --jq 'del(.hooks)'
ours() { # what the broker started, and itself
	sort "$BROKER_CGROUP/cgroup.procs"
}
nothing_left() { # but what there was; an attacher that is done may be on its way out
	mapfile -t left < <(comm -13 "$D/before" <(ours))
	"$here/await" end "${left[@]}" || fail "it stays: $(ps -o pid,ppid,stat,args -p "$(IFS=,; echo "${left[*]}")")"
}
ours >"$D/before"

begin halting runc --root "$D/runc" exec halting /attacker halt
[[ $line == halting ]] || fail "the attacker said '$line'"
refused=0
for ((round = 0; round < 30 && refused < 5; round++)); do
	run coffer attach halting
	if [[ $status -eq 0 ]]; then
		succeeds coffer detach halting # and its worker goes
	else
		grep -q 'stopped or ended from inside the container' "$D/err" || fail "attach said: $(cat "$D/err")"
		refused=$((refused + 1))
	fi
	nothing_left
done
echo "of $round attachments $refused were refused"
[[ $refused -gt 0 ]] || fail "it was never stopped: nothing was shown"
audit_has attach.failed '.container == "halting" and (.reason | test("stopped or ended from inside"))'

end halting
nothing_left

succeeds coffer attach halting
reads halting /run/secrets/own-secret "$OWN_VALUE"
all_is_well
