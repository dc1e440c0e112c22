#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# nginx serves TLS with a certificate and key from the mount, and the usual reloader beside it (inotifywait, `nginx -s
# reload`) makes it take each new pair: a client that connects again and again sees every new certificate, no
# handshake fails, and nginx never meets a key that does not belong to its certificate.
. "$(dirname "$0")/programs-lib.sh"

new_pair() { # SERIAL: $D/cert.SERIAL and $D/key.SERIAL
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=web.example" \
		-set_serial "0x$1" -keyout "$D/key.$1" -out "$D/cert.$1" 2>"$D/err"
}

unsealed_broker
new_pair 1000
succeeds coffer put tls/cert.pem=@"$D/cert.1000" tls/key.pem=@"$D/key.1000"
succeeds coffer grant tls/ --container web
bundle_files=$D/web.bundle/rootfs
mkdir -p "$bundle_files/etc/nginx" "$bundle_files/srv" "$bundle_files/var/lib/nginx" "$bundle_files/var/log/nginx"
cat >"$bundle_files/etc/nginx/nginx.conf" <<'CONF'
daemon off;
pid /tmp/nginx.pid;
error_log stderr notice;
user www-data;
events { worker_connections 64; }
http {
	access_log off;
	client_body_temp_path /tmp/body;
	proxy_temp_path /tmp/proxy;
	fastcgi_temp_path /tmp/fastcgi;
	uwsgi_temp_path /tmp/uwsgi;
	scgi_temp_path /tmp/scgi;
	server {
		listen 8443 ssl;
		ssl_certificate /run/secrets/tls/cert.pem;
		ssl_certificate_key /run/secrets/tls/key.pem;
		root /srv;
	}
}
CONF
cat >"$bundle_files/srv/reloader" <<'SCRIPT'
#!/bin/sh
inotifywait -m -e moved_to,create,close_write /run/secrets/tls | while read -r _; do
	nginx -c /etc/nginx/nginx.conf -s reload
done
SCRIPT
cat >"$bundle_files/srv/client" <<'SCRIPT'
#!/bin/sh
# A new connection each time: the serial number of the certificate that it was given, or FAILED.
while :; do
	if openssl s_client -connect 127.0.0.1:8443 </dev/null >/tmp/said 2>/tmp/error; then
		openssl x509 -noout -serial </tmp/said
	else
		echo FAILED
		cat /tmp/error
	fi
done
SCRIPT
debian_container web

start_program nginx web nginx -c /etc/nginx/nginx.conf
expect nginx 'start worker process [0-9]'
start_program reloader web sh /srv/reloader
expect reloader 'Watches established'
start_program client web sh /srv/client
expect client '^serial=1000$'

for ((serial = 1001; serial <= 1000 + ROTATIONS; serial++)); do
	new_pair $serial
	succeeds coffer put tls/cert.pem=@"$D/cert.$serial" tls/key.pem=@"$D/key.$serial"
	expect client "^serial=$serial\$|FAILED"
	[[ $line != FAILED ]] || fail "a handshake failed"
done
expect client "^serial=$((serial - 1))\$|FAILED"
[[ $(said client FAILED) -eq 0 ]] || fail "a handshake failed"
runc kill web KILL
cat <&"${program_fd[nginx]}" >>"${program_log[nginx]}"
cat <&"${program_fd[reloader]}" >"$D/reloader.log"
! grep -h emerg "${program_log[nginx]}" "$D/reloader.log" || fail "nginx could not take what was in the mount"
echo "$ROTATIONS rotations, $(said client serial) handshakes, $(said nginx 'signal 1 .*reconfiguring') reloads"
