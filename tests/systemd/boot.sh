#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Boots, from an installation below /usr/local by the commands of docs/install.md: an engine's unit that starts a container as
# soon as it is up is ordered behind the broker, the key that is sealed to the host unseals the store without anyone typing,
# and the container finds its secret at its very first open. So at the second boot, and with a key that opens nothing the engine
# starts all the same, its container comes up, and its secret comes live with an operator's unseal.
. "$(dirname "$0")/systemd-lib.sh"

install_build() {
	DESTDIR=$M cmake --install "$COFFER_BUILD" --prefix /usr/local >"$D/install.log" 2>&1 || fail "cmake --install"
	mkdir -p "$M/src"
}

# The first thing that the container's process does is to read, once; then it stays.
engine() { # installs docker.service, which is none but is ordered as one
	make_bundle "$M/c/web" /usr/local/bin/coffer-hook /run/coffer --hook --cgroup "/coffer-test-$TAG-web"
	jq '.process.args = ["sh", "-c", "cat /run/secrets/db-password >/first 2>&1; exec sleep 100000"] | .root.readonly = false' \
		"$M/c/web/config.json" >"$D/config.new"
	mv "$D/config.new" "$M/c/web/config.json"
	cat >"$M/etc/systemd/system/docker.service" <<-'UNIT'
		[Unit]
		Description=Starts a container as soon as it may

		[Service]
		Type=oneshot
		RemainAfterExit=yes
		ExecStartPre=/bin/sh -c 'while read -r _ point _; do mount -o remount,bind,rw "$$point"; done </c/cgroups'
		ExecStart=/bin/sh -c 'exec runc run --detach --bundle /c/web web </dev/null >/c/web.log 2>&1'
		ExecStop=runc delete --force web

		[Install]
		WantedBy=multi-user.target
	UNIT
	# nspawn gives hierarchies of version 1 for reading; runc makes cgroups in each.
	machine bash -c "findmnt -rno SOURCE,TARGET,FSTYPE -t cgroup >/c/cgroups || true"
	machine systemctl --quiet enable docker.service
}
first() { # what the container read at its start
	timeout 60 bash -c "until [[ -s $M/c/web/rootfs/first ]]; do inotifywait -qq -t 1 $M/c/web/rootfs || true; done"
	cat "$M/c/web/rootfs/first"
}
next_boot() {
	rm -f "$M/c/web/rootfs/first"
	reboot
	succeeds machine systemctl is-active docker.service
}

boot
page from-source-units >"$D/units.log" 2>&1 || fail "$(cat "$D/units.log")"
succeeds machine systemctl is-active cofferd.service cofferd.socket cofferd-workload.socket coffer-spawner.socket
[[ $(machine systemctl show --value -p FragmentPath cofferd.service) == /usr/local/lib/systemd/system/cofferd.service ]] ||
	fail "systemd has the unit from elsewhere"
page first-steps >"$D/out" || fail "the first steps: $(cat "$D/out")"
cp "$M/root/coffer.key" "$D/coffer.key"
page unseal-with-host-key >"$D/out" 2>&1 || fail "sealing the key: $(cat "$D/out")"
page try-unseal >"$D/out" 2>&1 || fail "the sealed key: $(cat "$D/out")"
[[ ! -e $M/root/coffer.key ]] || fail "the key is still there in the clear"
engine

for ((i = 1; i <= 2; i++)); do
	next_boot
	[[ $(first) == 'correct horse' ]] || fail "boot $i: the container's first open gave '$(first)'"
	succeeds coffer status --json
	says_json '.state == "unsealed"'
	reads web /run/secrets/db-password 'correct horse'
	broker_was_first=$(machine systemctl show --value -p ActiveEnterTimestampMonotonic cofferd.service)
	engine_began=$(machine systemctl show --value -p ExecMainStartTimestampMonotonic docker.service)
	[[ $broker_was_first -lt $engine_began ]] || fail "boot $i: the engine began before the broker was ready"
	echo "boot $i: unsealed without anyone, the first open of a container that an engine started had the secret"
done

# A key that opens nothing.
machine bash -c 'head -c 32 /dev/urandom >/root/wrong
	systemd-creds encrypt --with-key=host --name=coffer.key /root/wrong /etc/credstore.encrypted/coffer.key' 2>>"$D/creds.log"
drop_in patience TimeoutStartSec=3s
next_boot
[[ $(first) == *'No such file'* ]] || fail "with a wrong key the container's first open gave '$(first)'"
# Restarted again and again, its socket is there all the same.
cp "$D/coffer.key" "$M/root/key"
succeeds coffer unseal --keyfile /root/key
put db-password 'newer horse' # is answered when the containers show it
reads web /run/secrets/db-password 'newer horse'
