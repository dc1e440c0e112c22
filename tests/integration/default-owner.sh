#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Files belong to the user that the container starts as. They have mode 0400, but 0444 where it starts as root and
# the value is no private key.
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
succeeds in_container --user 1000:1000 as-root cat /run/secrets/db
says value

container as-app --user 1000:1000
succeeds in_container as-app stat -c '%a %u %g %n' /run/secrets/db /run/secrets/key
says $'400 1000 1000 /run/secrets/db\n400 1000 1000 /run/secrets/key'
reads as-app /run/secrets/db value
