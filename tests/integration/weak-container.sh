#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A container in the host's pid namespace is marked weak: served only where the grant says --allow-weak, and
# then no process outside its cgroup is.
. "$(dirname "$0")/lib.sh"

unsealed_broker
put db value
put weakly value
succeeds coffer grant db --container weak
succeeds coffer grant weakly --container weak --allow-weak
container weak --jq '.linux.namespaces |= map(select(.type != "pid"))'
reads weak /run/secrets/weakly value
lacks weak /run/secrets/db
succeeds coffer ps --json
says_json 'any(.attachments[]; .container == "weak" and .weak)'
run cat "/proc/$(container_pid weak)/root/run/secrets/weakly"
grep -q 'Permission denied' "$D/err" || fail "the host reads: $(cat "$D/out" "$D/err")"
audit_has open '.result == "EACCES" and .container == "weak"'
