#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Sealing leaves running containers served; with "on_seal": "stop" it does not.
. "$(dirname "$0")/lib.sh"

unsealed_broker
put db value
succeeds coffer grant db --container web
container web
reads web /run/secrets/db value
succeeds coffer seal
reads web /run/secrets/db value
fails 1 sealed coffer put db --file /etc/hostname
fails 1 sealed coffer ls
succeeds coffer unseal --keyfile "$D/key"
reads web /run/secrets/db value
audit_has seal
audit_has unseal
