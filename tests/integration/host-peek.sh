#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A process of the host that goes through /proc/PID/root, or enters the mount namespace alone, is refused, and the
# refusal is in the audit log with who asked.
. "$(dirname "$0")/lib.sh"

unsealed_broker
put db value
succeeds coffer grant db --container web
container web
reads web /run/secrets/db value
pid=$(container_pid web)

run cat "/proc/$pid/root/run/secrets/db"
[[ $status -ne 0 ]] || fail "a host process reads through /proc/PID/root"
grep -q 'Permission denied' "$D/err" || fail "the peek said: $(cat "$D/err")"
audit_has open '.result == "EACCES" and .container == "web" and .name == "db" and .uid == 0'
before=$(jq -s 'map(select(.result == "EACCES") | .count // 1) | add' "$D/audit")

run nsenter --target "$pid" --mount /bin/cat /run/secrets/db
[[ $status -ne 0 ]] || fail "nsenter -m reads"
grep -q 'Permission denied' "$D/err" || fail "nsenter said: $(cat "$D/err")"
run ls "/proc/$pid/root/run/secrets"
[[ $status -ne 0 ]] || fail "a host process lists: $(cat "$D/out")"
audit_has open '.result == "EACCES"'
after=$(jq -s 'map(select(.result == "EACCES") | .count // 1) | add' "$D/audit")
[[ $after -gt $before ]] || fail "the second refusal is not in the log"

# A neighbour gets no further, though it be root with every capability.
container neighbour --jq '.process.capabilities |= map_values(["CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE"])'
run in_container neighbour ls /run/secrets
[[ $status -ne 0 || -z $(cat "$D/out") ]] || fail "the neighbour sees $(cat "$D/out")"

# The mount is not in the host's table.
! grep -q -- ' - fuse.coffer ' /proc/self/mountinfo || fail "the host's mount table shows a mount of ours"
reads web /run/secrets/db value
