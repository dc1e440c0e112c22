#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Rows 13, 14, 15 and 29 of docs/threats.md: names and inode numbers are not to be guessed, another's mount is not to be
# reached from outside, and what is not granted looks like what is not there.
. "$(dirname "$0")/duel.sh"

duel
put other/deep/secret "$VICTIM_VALUE"
succeeds coffer grant other/ --container victim
container victim
armed attacker --jq "$(capable CAP_DAC_READ_SEARCH)"
victim=$(container_pid victim)

# 13: names.
for name in victim-secret other other/deep other/deep/secret ../victim-secret .coffer "$(head -c 255 /dev/zero | tr '\0' a)"; do
	lacks attacker "/run/secrets/$name"
done
succeeds in_container attacker ls -A /run/secrets
says own-secret
# Inode numbers, from the root's 1 on: all there are in a mount of 4096 nodes.
attack attacker handles /run/secrets/own-secret 5000
nothing_of_the_victim
while read -r _ value; do
	[[ $value == "$OWN_VALUE" ]] || fail "a file handle gave '$value'"
done < <(grep '^bytes ' "$D/out")
got '^opens [0-9]+$'
# A withdrawn one is not to be had by its number either.
put fleeting gone-soon
grant=$(coffer grant fleeting --container attacker)
reads attacker /run/secrets/fleeting gone-soon
succeeds coffer revoke "$grant"
attack attacker handles /run/secrets/own-secret 5000
never gone-soon
audit_has withdraw '.container == "attacker" and .name == "fleeting"'

# 29: at the mount and at the API. The times are for information: none is claimed.
attack attacker compare 2000 /run/secrets/victim-secret /run/secrets/victim-secrex
got '^first ENOENT'
got '^second ENOENT'
echo "open of a name that is another's, and of one that does not exist:"
cat "$D/out"
attack attacker ask /coffer/sock Get '{"path":"victim-secret"}'
cp "$D/out" "$D/ungranted"
attack attacker ask /coffer/sock Get '{"path":"victim-secrex"}'
[[ $(sed s/victim-secret/victim-secrex/ "$D/ungranted") == "$(cat "$D/out")" ]] || fail "ungranted and absent differ"
for text in victim-secret victim-secrex; do
	audit_has api.get ".container == \"attacker\" and .result == \"ENOENT\" and .text == \"$text\" and .name == null"
done

# 14: by way of /proc, from the host and from a container that shares its pid namespace and may trace.
refusals() {
	coffer audit --json | jq -s 'map(select(.container == "victim" and .result == "EACCES" and .pid == 0) | .count // 1) | add // 0'
}
refused() { # WHAT COMMAND...
	local before what=$1
	before=$(refusals)
	shift
	run "$@"
	[[ $status -ne 0 ]] || fail "$what reads"
	grep -q 'Permission denied' "$D/err" || fail "$what: $(cat "$D/err")"
	nothing_of_the_victim
	[[ $(refusals) -gt $before ]] || fail "$what: the refusal is not in the log"
}
container spy --jq '.linux.namespaces |= map(select(.type != "pid"))' --jq "$(capable CAP_SYS_PTRACE CAP_SYS_ADMIN CAP_SYS_CHROOT)"
refused "the host" cat "/proc/$victim/root/run/secrets/victim-secret"
refused "a container with the host's pids" in_container spy cat "/proc/$victim/root/run/secrets/victim-secret"
reads victim /run/secrets/victim-secret "$VICTIM_VALUE"
refused "the host, with the name known to the kernel" cat "/proc/$victim/root/run/secrets/victim-secret"
refused "another user" setpriv --reuid 65533 --regid 65533 --clear-groups --ambient-caps +sys_ptrace \
	--inh-caps +sys_ptrace cat "/proc/$victim/root/run/secrets/victim-secret"
audit_has open '.container == "victim" and .result == "EACCES" and .uid == 65533 and .pid == 0'

# 15: nsenter -m, with and without the root.
refused "nsenter -m" nsenter --target "$victim" --mount /bin/cat /run/secrets/victim-secret
refused "nsenter -m of the container" in_container spy nsenter -t "$victim" -m /bin/cat /run/secrets/victim-secret
refused "nsenter -m, a listing" nsenter --target "$victim" --mount /bin/ls /run/secrets/
all_is_well
