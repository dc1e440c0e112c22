#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# reflex, a reloader written in Go with fsnotify: runs a command for every rotation, which reads the new value, also
# for a file in the folder of a granted prefix; as a supervisor it restarts a service with the new value.
. "$(dirname "$0")/programs-lib.sh"

unsealed_broker
put db value-1
coffer put tls/cert.pem=@<(echo cert-1) tls/key.pem=@<(echo key-1) >/dev/null
put other other
for name in db tls/ other; do
	succeeds coffer grant $name --container web
done
mkdir -p "$D/web.bundle/rootfs/srv"
cat >"$D/web.bundle/rootfs/srv/service" <<'SCRIPT'
#!/bin/sh
echo "serving $(cat /run/secrets/db)"
exec sleep infinity
SCRIPT
debian_container web

exec_options=(--cwd "$secrets")
start_program command web reflex -v -d none -r '^db$' -- sh -c 'echo "told of {}: $(cat {})"'
start_program folder web reflex -v -d none -r '^tls/' -- sh -c 'echo "told of {}: $(cat {})"'
start_program service web reflex -d none -r '^db$' -s -- sh /srv/service
expect service '^serving value-1$'
# It says what its pattern is when it watches already.
for name in command folder; do
	expect $name 'Starting runner|Reflex'
done
for ((version = 2; version <= ROTATIONS + 1; version++)); do
	put db value-$version
	expect command "^told of db: value-$version\$"
	expect service "^serving value-$version\$"
	succeeds coffer put tls/cert.pem=@<(echo cert-$version)
	expect folder "^told of tls/cert.pem: cert-$version\$"
done
succeeds coffer put tls/new=@<(echo new)
expect folder '^told of tls/new: new$'
[[ $(said command '^told of db') -eq $ROTATIONS ]] || fail "it ran $(said command '^told of db') times"
[[ $(said folder '^told of tls/cert.pem') -eq $ROTATIONS ]] || fail "it ran $(said folder '^told of') times"
