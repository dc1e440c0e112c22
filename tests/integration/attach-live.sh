#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `coffer attach` mounts into a container that runs already and that no hook registered; detach takes the mount
# off and holds until the next attach.
. "$(dirname "$0")/lib.sh"

unsealed_broker
put db value
succeeds coffer grant db --container plain
bundle plain --tmpfs /run
run_container plain
run in_container plain cat /run/secrets/db
[[ $status -ne 0 ]] || fail "an unknown container reads a secret"

succeeds coffer attach plain
reads plain /run/secrets/db value
succeeds coffer detach plain
run in_container plain cat /run/secrets/db
[[ $status -ne 0 ]] || fail "a detached container reads a secret"
put db newer
run in_container plain cat /run/secrets/db
[[ $status -ne 0 ]] || fail "a change attached a detached container"

succeeds coffer attach --pid "$(container_pid plain)"
reads plain /run/secrets/db newer
succeeds coffer ps
grep -q plain "$D/out" || fail "ps does not show the container: $(cat "$D/out")"
audit_has attach '.container == "plain"'
audit_has detach '.container == "plain"'

fails 1 'no.* container|not found|nosuch' coffer attach nosuch
fails 1 'process|pid' coffer attach --pid 4194304
