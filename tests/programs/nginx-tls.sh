#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# nginx of Debian's package, master as root and workers as www-data: serves TLS with a key that only root may read, and
# after each rotation, told by a signal from Coffer, the next certificate, with no word in its log about it.
. "$(dirname "$0")/image-lib.sh"

image web
image_files nginx
new_pair 1001 tls
operator nginx 1
starts web nginx -g 'daemon off; error_log stderr notice;'
expect web 'start worker process [0-9]'
serves 1001 web 8443
succeeds in_container web stat -c '%a %u' $secrets/tls/tls.key
says '400 0'
succeeds in_container web sh -c 'stat -c %U $(dirname $(grep -lx nginx /proc/[0-9]*/comm))'
grep -qx root "$D/out" && grep -qx www-data "$D/out" || fail "nginx runs as: $(cat "$D/out")"
workers=$(grep -cx www-data "$D/out")

for ((number = 1002; number <= 1001 + ROTATIONS; number++)); do
	new_pair $number tls
	operator nginx 2
	for ((worker = 0; worker < workers; worker++)); do
		expect web 'worker process [0-9]+ exited with code 0' # one of before; until then it may take a connection
	done
	serves $number web 8443
done
clean_log web
[[ ! -s $root/var/log/nginx/error.log ]] || fail "nginx has an error: $(cat "$root/var/log/nginx/error.log")"
[[ $(said web 'SIGHUP.*reconfiguring') -ge $ROTATIONS ]] || fail "told $(said web SIGHUP) times"
