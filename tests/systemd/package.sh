#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The Debian package in a machine with systemd, by the commands of docs/install.md: installed, its sockets start the broker; a
# container gets its secret by the hook. Upgraded while containers read: no read fails, no worker and no mount is another.
# Removed: what runs reads on. Purged: nothing is left but the accounts.
. "$(dirname "$0")/systemd-lib.sh"

packages=("$COFFER_BUILD"/debian/coffer_*.deb)
[[ ${#packages[@]} -eq 2 ]] || fail "tests/package/build has not left two packages but: ${packages[*]}"

install_build() { # the package comes by apt-get, in the machine
	mkdir -p "$M/src/build/package"
	cp "${packages[0]}" "$M/src/build/package/"
	echo 'APT::Get::Assume-Yes "true";' >"$M/etc/apt/apt.conf.d/yes"
}
files() { # what is in the machine's file system, but for what runs and what systems do by themselves
	machine find / -xdev \( -path /proc -o -path /sys -o -path /c -o -path /src -o -path /tmp -o -path '/var/log/*' -o \
		-path /run -o -path '/var/cache/*' -o -path '/var/lib/dpkg/*' -o -path '/var/lib/apt/*' -o -path '/var/lib/systemd/*' \
		-o -path '/etc/.pwd.lock' -o -path '/root/*' -o -path '/var/lib/private/*' -o -path '/etc/credstore*' \) -prune -o -print |
		sort
}
upgraded_to() { # VERSION
	[[ $(machine dpkg-query -W -f '${Version} ${db:Status-Status}' coffer) == "$1 installed" ]] ||
		fail "the package is $(machine dpkg-query -W -f '${Version} ${db:Status-Status}' coffer)"
	[[ $(coffer version) == *"$1"* ]] || fail "after the upgrade to $1 coffer says: $(coffer version)"
}
version_of() { # PACKAGE-FILE
	dpkg-deb -f "$1" Version
}
broker_says_version() { # VERSION: what runs, not what lies there
	coffer audit --json >"$D/audit"
	[[ $(jq -rs 'map(select(.event == "start")) | last | .version' "$D/audit") == "$1" ]] ||
		fail "the broker that runs is not $1: $(grep '"start"' "$D/audit")"
}
workers_left() { # by their user, wherever they are
	# shellcheck disable=SC2016
	machine bash -c 'for p in /proc/[0-9]*; do
		[[ $(stat -c %U "$p" 2>/dev/null) != coffer-worker ]] || echo "${p##*/}"
	done'
}
in_use() { # what containers see of the mount: its device number
	in_container "$1" stat -c %d /run/secrets
}

boot
files >"$D/before"
page install >"$D/install.log" 2>&1 || fail "the package does not install: $(tail -n 20 "$D/install.log")"
upgraded_to "$(version_of "${packages[0]}")"
machine systemctl is-enabled cofferd.service cofferd.socket cofferd-workload.socket coffer-spawner.socket >"$D/out" ||
	fail "not enabled: $(cat "$D/out")"
machine systemctl is-active cofferd.socket cofferd-workload.socket coffer-spawner.socket >"$D/out" ||
	fail "not active: $(cat "$D/out")"
[[ $(machine getent group coffer) == coffer:* ]] || fail "there is no group coffer"
[[ $(machine getent passwd coffer-worker) == *:/usr/sbin/nologin ]] || fail "there is no user coffer-worker"

unit_says ActiveState active

# Called at its socket it is there.
machine systemctl stop cofferd.service 2>/dev/null # which warns of the sockets
unit_says ActiveState inactive
succeeds coffer status --json
says_json '.state == "uninitialised"'
unit_says ActiveState active

page first-steps >"$D/out" || fail "the first steps: $(cat "$D/out")"
grep -q unsealed "$D/out" || fail "after the first steps the status is: $(cat "$D/out")"
container web --tmpfs /tmp
container other --tmpfs /tmp
reads web /run/secrets/db-password 'correct horse'
lacks other /run/secrets/db-password
page unseal-with-host-key >"$D/out" 2>&1 || fail "sealing the key: $(cat "$D/out")"
page try-unseal >"$D/out" 2>&1 || fail "the sealed key: $(cat "$D/out")"
grep -q unsealed "$D/out" || fail "with the sealed key the status is: $(cat "$D/out")"

# The upgrade.
workers=$(worker_pids)
[[ $(wc -w <<<"$workers") -ge 1 ]] || fail "nobody serves"
mount=$(in_use web)
before=$(broker_pid)
reader_options=(--processes 2 --pause-us 2000 --hold)
upgrade() { # PACKAGE-FILE
	rm -f "$M"/src/build/package/*.deb
	cp "$1" "$M/src/build/package/"
	reader_start web /run/secrets/db-password
	page upgrade >"$D/install.log" 2>&1 || fail "the package is not upgraded: $(tail -n 20 "$D/install.log")"
	upgraded_to "$(version_of "$1")"
	succeeds coffer status --json
	says_json '.state == "unsealed"'
	broker_says_version "$(version_of "$1")"
	reader_end web
	succeeds in_container web rm /tmp/stop
	no_reader_failed "an upgrade of the package"
	[[ $(broker_pid) != "$before" ]] || fail "the broker is still the old one"
	[[ $(worker_pids) == "$workers" ]] || fail "the workers were $workers and are $(worker_pids)"
	[[ $(in_use web) == "$mount" ]] || fail "the mount is another one"
	put db-password "horse of $(version_of "$1")"
	reads web /run/secrets/db-password "horse of $(version_of "$1")"
}
upgrade "${packages[1]}"

# One that the operator has disabled and stopped stays so.
machine systemctl disable --quiet cofferd.service
machine systemctl stop cofferd.service 2>/dev/null # which warns of the sockets
machine bash -c 'dpkg -i /src/build/package/*.deb' >"$D/install.log" 2>&1 || fail "dpkg -i: $(tail -n 20 "$D/install.log")"
unit_says ActiveState inactive
run machine systemctl is-enabled cofferd.service
says disabled
reads web /run/secrets/db-password "horse of $(version_of "${packages[1]}")"
machine systemctl enable --quiet --now cofferd.service

# Removed: it reads on, and the store is still there.
machine bash -c 'cd / && exec apt-get remove coffer' >"$D/install.log" 2>&1 || fail "removal: $(tail -n 20 "$D/install.log")"
[[ ! -e $M/usr/bin/coffer && ! -e $M/lib/systemd/system/cofferd.service ]] || fail "programs or units are left"
[[ -e $M/var/lib/coffer/store.db ]] || fail "the removal took the store: $(ls "$M/var/lib/coffer")"
[[ $(machine systemctl show --value -p LoadState cofferd.service) == not-found ]] || fail "systemd still knows the unit"
reads web /run/secrets/db-password "horse of $(version_of "${packages[1]}")"
[[ -n $(worker_pids) ]] || fail "the removal ended the workers"

# Installed again it is started, and takes them over; what has ended meanwhile is noticed.
delete_container other
page install >"$D/install.log" 2>&1 || fail "the package does not install again: $(tail -n 20 "$D/install.log")"
unit_says ActiveState active
put db-password taken-over # is answered when all that run show it
reads web /run/secrets/db-password taken-over
succeeds coffer ps --json
says_json '[.attachments[] | .container] == ["web"] and .attachments[0].state == "attached"'

page remove >"$D/install.log" 2>&1 || fail "removal: $(tail -n 20 "$D/install.log")"
[[ -n $(workers_left) ]] || fail "no worker is left for the purge to end"
reads web /run/secrets/db-password taken-over
page purge >"$D/install.log" 2>&1 || fail "purging: $(tail -n 20 "$D/install.log")"
run in_container web cat /run/secrets/db-password
[[ $status -ne 0 && ! -s $D/out ]] || fail "after the purge web reads: $(cat "$D/out")"
delete_container web
run machine dpkg-query -W coffer
[[ $status -ne 0 ]] || fail "the package is still known: $(cat "$D/out")"
files >"$D/after"
left=$(comm -13 "$D/before" "$D/after" | grep -v '^/etc/\(passwd\|group\|shadow\|gshadow\)-\?$' || true)
[[ -z $left ]] || fail "purged, there still are: $left"
gone=$(comm -23 "$D/before" "$D/after")
[[ -z $gone ]] || fail "purged, with it went: $gone"
[[ ! -e $M/run/coffer ]] || fail "/run/coffer is left"
succeeds machine findmnt -rno TARGET,FSTYPE,SOURCE
run grep -i coffer "$D/out"
[[ $status -ne 0 ]] || fail "mounts are left: $(cat "$D/out")"
[[ -z $(workers_left) ]] || fail "workers are left: $(workers_left)"
# systemd leaves empty ones of every unit in version 1's hierarchies of controllers.
succeeds machine bash -c 'find /sys/fs/cgroup/{systemd,unified,}/system.slice -name "*coffer*.s*" 2>/dev/null || true'
says ""
succeeds machine systemctl list-units --all --no-legend '*coffer*'
[[ ! -s $D/out ]] || fail "units are left: $(cat "$D/out")"
[[ $(machine getent passwd coffer-worker) == coffer-worker:* ]] || fail "the account is gone"
