#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Rows 16, 17 and 18 of docs/threats.md: no call changes anything in the mount, not even in one that a powerful
# container has made writable; who unmounts it fools itself only.
. "$(dirname "$0")/duel.sh"

duel
container victim
put own-other other
succeeds coffer grant own-other --container attacker
armed attacker --writable --jq "$(capable CAP_SYS_ADMIN CAP_CHOWN CAP_FOWNER CAP_FSETID CAP_MKNOD CAP_DAC_OVERRIDE \
	CAP_LINUX_IMMUTABLE)"
picture() {
	in_container attacker sh -c 'ls -liaR /run/secrets; cat /run/secrets/*; stat -c "%a %u %g %s %i %Y" /run/secrets/* /run/secrets'
}
before=$(picture)
unchanged() {
	[[ $(picture) == "$before" ]] || fail "the tree changed: $(picture)"
	reads victim /run/secrets/victim-secret "$VICTIM_VALUE"
}

# 17: as it is mounted.
attack attacker writes /run/secrets own-secret own-other
never SUCCEEDED
unchanged

# 16: its root has CAP_SYS_ADMIN where the mount's superblock belongs, and takes the flags off.
succeeds in_container attacker mount -o remount,bind,rw,suid,dev,exec /run/secrets
run in_container attacker grep ' /run/secrets ' /proc/self/mountinfo
got ' /run/secrets rw'
attack attacker writes /run/secrets own-secret own-other
never SUCCEEDED
unchanged
for call in open create mknod mkdir symlink link rename unlink setattr setxattr tmpfile; do
	audit_has write ".container == \"attacker\" and .result == \"EROFS\" and .text == \"$call\""
done
audit_lacks write '.result == "granted"'
run in_container attacker sh -c 'exec /run/secrets/own-secret'
[[ $status -eq 126 ]] || fail "a secret was executed: $status"
# A rotation still comes through, by the only renames there are.
put own-secret rotated
reads attacker /run/secrets/own-secret rotated

# 18: its own mount goes, and a fake comes in its place.
succeeds in_container attacker umount /run/secrets
await_audit mount.lost '.container == "attacker"'
succeeds in_container attacker sh -c 'echo fake >/run/secrets/own-secret'
reads attacker /run/secrets/own-secret fake
put own-secret after
reads attacker /run/secrets/own-secret fake
succeeds coffer ps --json
says_json '.attachments[] | select(.container == "attacker") | .state != "attached"'
all_is_well
