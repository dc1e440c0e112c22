#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In a container with a user namespace of its own, files belong to the mapped user: one with mode 0400 can be read
# by its owner inside and by no other.
. "$(dirname "$0")/lib.sh"

unsealed_broker
put db value
succeeds coffer grant db --container mapped --mode 0400
succeeds coffer grant db --container mapped --as for-1000 --mode 0400 --uid 1000 --gid 1000
container mapped --userns
reads mapped /run/secrets/db value
succeeds in_container mapped stat -c '%a %u %g' /run/secrets/db
says '400 0 0'
succeeds in_container --user 1000:1000 mapped cat /run/secrets/for-1000
says value
run in_container --user 1000:1000 mapped cat /run/secrets/db
grep -q 'Permission denied' "$D/err" || fail "another user: $(cat "$D/out" "$D/err")"
run in_container --user 1001:1001 mapped cat /run/secrets/for-1000
grep -q 'Permission denied' "$D/err" || fail "another user: $(cat "$D/out" "$D/err")"

put db newer
reads mapped /run/secrets/db newer
run cat "/proc/$(container_pid mapped)/root/run/secrets/db"
grep -q 'Permission denied' "$D/err" || fail "the host reads: $(cat "$D/out" "$D/err")"

# Live, too.
bundle live --userns --tmpfs /run
run_container live
succeeds coffer grant db --container live
succeeds coffer attach live
reads live /run/secrets/db newer
