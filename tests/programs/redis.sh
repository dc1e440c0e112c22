#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Redis with its users in a file of its mount: lets in who has the right password and nobody else, and after a rotation,
# for which Coffer runs a program inside that has it load the file, whoever is in there now.
. "$(dirname "$0")/image-lib.sh"

users() { # PASSWORD of app
	printf '%s\n' 'user default off' \
		"user app on #$(printf %s "$1" | sha256sum | cut -d ' ' -f 1) ~app:* +@all -@admin" \
		"user loader on #$(printf %s "$(cat loader)" | sha256sum | cut -d ' ' -f 1) -@all +acl|load" >users.acl
}
redis() { # PASSWORD COMMAND...: as app
	run in_container --env "REDISCLI_AUTH=$1" cache redis-cli -e --user app "${@:2}"
}

printf load-it >loader
users one
root_user=$(chroot "$IMAGE" id -u redis):$(chroot "$IMAGE" id -g redis)
image cache --user "$root_user"
image_files Redis
operator Redis 1
starts cache redis-server /etc/redis/app.conf
expect cache 'Ready to accept connections'
expect cache 'ready to accept connections at /tmp/redis.sock'

redis one SET app:key value
says OK
redis two GET app:key
[[ $status -ne 0 ]] || fail "another password was taken"
grep -q WRONGPASS "$D/out" "$D/err" || fail "another password: $(cat "$D/out" "$D/err")"

for password in two three four; do
	users $password
	before=$(coffer audit --json | tail -n 1 | jq .seq)
	operator Redis 2
	await_audit reaction ".container == \"cache\" and .seq > $before"
	redis $password GET app:key
	says value
done
redis one GET app:key
grep -q WRONGPASS "$D/out" "$D/err" || fail "the first password: $(cat "$D/out" "$D/err")"
succeeds in_container cache stat -c '%a %u' $secrets/redis/users.acl
says "400 ${root_user%:*}"
clean_log cache 'Memory overcommit must be enabled|TCP backlog|maximum open files'
