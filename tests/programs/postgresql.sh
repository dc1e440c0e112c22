#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# PostgreSQL, started as root by an entrypoint that becomes its user: takes the first password from a file in the mount,
# serves TLS with a key that it owns alone, or that root owns and its group reads, and serves the next pair after each
# rotation. A client with the password logs in, one with another does not. A key that others may read is refused.
. "$(dirname "$0")/image-lib.sh"

args=(-c 'listen_addresses=*' -c ssl=on -c "ssl_cert_file=$secrets/tls/server.crt"
	-c "ssl_key_file=$secrets/tls/server.key")
section PostgreSQL | grep -qxF -- "${args[*]}" || fail "docs/programs.md has other arguments: ${args[*]}"
image db --jq ".process.env += [\"PGDATA=/var/lib/postgresql/data\", \"POSTGRES_PASSWORD_FILE=$secrets/password\"]"
image_files PostgreSQL
uid=$(chroot "$root" id -u postgres)
gid=$(chroot "$root" id -g postgres)
printf 'a password\n' >password
new_pair 1001 server
operator PostgreSQL 1
operator PostgreSQL 3
starts db entrypoint "${args[@]}"
expect db 'database system is ready to accept connections'

image app --user 1000:1000
joins app db
run_container app
login() { # PASSWORD-FILE: prints who it is, over which TLS
	# shellcheck disable=SC2016 # the container's shell reads it
	run in_container app sh -c 'PGPASSWORD=$(cat "$1") exec psql --no-psqlrc --tuples-only --no-align "$2" \
		--command "SELECT current_user, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"' - "$1" \
		"host=127.0.0.1 user=postgres sslmode=verify-full sslrootcert=$secrets/server.crt"
}
logs_in() {
	login $secrets/password
	[[ $status -eq 0 ]] || fail "no login: $(cat "$D/err")"
	says 'postgres|t'
	[[ ! -s $D/err ]] || fail "psql said: $(cat "$D/err")"
}
logs_in
serves 1001 app 5432 -starttls postgres
login /etc/hostname
[[ $status -ne 0 ]] && grep -q 'password authentication failed' "$D/err" || fail "another password: $(cat "$D/err")"

for number in 1002 1003; do
	new_pair $number server
	operator PostgreSQL 4
	expect db 'received SIGHUP'
	serves $number app 5432 -starttls postgres
	logs_in
done

# The same with a key of root's that the server's group may read.
grant_of_key() {
	coffer grants --json | jq -r '.grants[] | select(.name == "db/tls/" and .conditions.container == "db").id'
}
succeeds coffer revoke "$(grant_of_key)"
operator PostgreSQL 2
new_pair 1004 server
operator PostgreSQL 4
expect db 'received SIGHUP'
serves 1004 app 5432 -starttls postgres
logs_in
succeeds in_container db stat -c '%a %u %g' $secrets/tls/server.key
says "640 0 $gid"

# It does look: what others may read it refuses, says so, and keeps what it had.
succeeds coffer revoke "$(grant_of_key)"
succeeds coffer grant db/tls/ --container db --mode 0444 --on-rotate signal:HUP
new_pair 1005 server
operator PostgreSQL 4
expect db 'private key file .* has group or world access'
serves 1004 app 5432 -starttls postgres
succeeds coffer explain db
grep -qE '^ *tls/server.key .*, mode 0444, owner 0:0$' "$D/out" || fail "explain says: $(cat "$D/out")"
clean_log db 'has group or world access|File must have permissions|SSL configuration was not reloaded'
[[ $(said db 'has group or world access') -eq 1 ]] || fail "it refused a key before: $(cat "${program_log[db]}")"
