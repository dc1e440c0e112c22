#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Files belong to the user that the container starts as. They have mode 0400, but 0444 where it starts as root and
# the value is no private key. `coffer explain` says so.
. "$(dirname "$0")/lib.sh"

unsealed_broker
put db value
pem=$(printf -- '-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n-----END PRIVATE KEY-----\n')
put key "$pem"
succeeds coffer grant db --runtime runc
succeeds coffer grant key --runtime runc
container as-root
succeeds in_container as-root stat -c '%a %u %g %n' /run/secrets/db /run/secrets/key
says $'444 0 0 /run/secrets/db\n400 0 0 /run/secrets/key'
succeeds coffer explain as-root --json
says_json '[.files[] | [.path, .mode, .uid, .gid]] | sort == [["db", "0444", 0, 0], ["key", "0400", 0, 0]]'
succeeds in_container --user 1000:1000 as-root cat /run/secrets/db
says value

container as-app --user 1000:1000
succeeds in_container as-app stat -c '%a %u %g %n' /run/secrets/db /run/secrets/key
says $'400 1000 1000 /run/secrets/db\n400 1000 1000 /run/secrets/key'
reads as-app /run/secrets/db value

# A grant that says otherwise is what explain tells, and for a container that is not registered as well.
succeeds coffer grant db --runtime runc --as mine --mode 0640 --uid 33 --gid 7
succeeds in_container as-app stat -c '%a %u %g' /run/secrets/mine
says '640 33 7'
succeeds coffer explain as-app
grep -q 'mine  is db version 1 by grant .*, mode 0640, owner 33:7$' "$D/out" || fail "explain says: $(cat "$D/out")"
bundle apart --user 1000:1000
run_container apart
succeeds coffer explain --pid "$(container_pid apart)" --json
says_json '.instance == null'
says_json '[.files[] | [.path, .mode, .uid, .gid]] | sort ==
	[["db", "0400", 1000, 1000], ["key", "0400", 1000, 1000], ["mine", "0640", 33, 7]]'
