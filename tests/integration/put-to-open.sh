#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What an operator puts is what a registered container opens at /run/secrets: new versions, removal, revocation.
. "$(dirname "$0")/lib.sh"

unsealed_broker
put db-password first
succeeds coffer grant db-password --container web
container web
reads web /run/secrets/db-password first
succeeds in_container web ls /run/secrets
says db-password

# Two side by side: each sees its own, and nothing of the other's.
put api-token for-the-api
succeeds coffer grant api-token --container api
container api
reads api /run/secrets/api-token for-the-api
lacks api /run/secrets/db-password
lacks web /run/secrets/api-token
succeeds in_container api ls /run/secrets
says api-token

# A new version is there when put returns; a descriptor opened before goes on reading what it opened.
succeeds in_container web sh -c '
	exec 3</run/secrets/db-password; cat /run/secrets/db-password >/dev/null
	read -r old <&3 || true; echo "$old"'
says first
run coffer put db-password --file <(printf second)
[[ $status -eq 0 ]] || fail "put: $(cat "$D/err")"
says 'db-password 2'
reads web /run/secrets/db-password second

# A granted prefix is a folder.
succeeds coffer put tls/site.key=@<(printf key) tls/site.crt=@<(printf crt)
succeeds coffer grant tls/ --container web
reads web /run/secrets/tls/site.key key
reads web /run/secrets/tls/site.crt crt
put tls/chain later
reads web /run/secrets/tls/chain later

# Removal takes the name away.
succeeds coffer rm tls/chain
lacks web /run/secrets/tls/chain

# Writing fails, whatever the way, and changes nothing.
for command in 'echo x >/run/secrets/db-password' 'echo x >/run/secrets/new' 'rm -f /run/secrets/db-password' \
	'mv /run/secrets/db-password /run/secrets/moved' 'mkdir /run/secrets/folder' \
	'chmod 777 /run/secrets/db-password' 'chown 5 /run/secrets/db-password' 'ln -s x /run/secrets/link' \
	'truncate -s 0 /run/secrets/db-password' 'touch /run/secrets/db-password'; do
	run in_container web sh -c "$command"
	[[ $status -ne 0 ]] || fail "in the container, '$command' did not fail"
done
reads web /run/secrets/db-password second
succeeds in_container web ls /run/secrets
says $'db-password\ntls'

# Opens are in the audit log, with name and version; what is attached, in ps.
audit_has open '.container == "web" and .name == "db-password" and .version == 2 and .result == "granted"'
succeeds coffer ps --json
says_json 'any(.attachments[]; .container == "web" and .runtime == "runc"
	and any(.files[]; .name == "db-password" and .version == 2 and .opened != null))'

# When a container ends, nothing of it stays.
worker=$(jq '.attachments[] | select(.container == "api") | .worker' "$D/out")
delete_container api
"$here/await" end "$worker"
await_audit end '.container == "api"'
succeeds coffer ps --json
says_json 'all(.attachments[]; .container != "api")'
