#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# To programs a secret is a file like any other of a file system that is mounted read-only: what calls and commands
# answer is compared with an ordinary one, for empty, small, large and binary values, before and after a rotation.
. "$(dirname "$0")/programs-lib.sh"

names=(empty byte lines page large binary)
control=$D/control
mkdir "$control"
mount -t tmpfs -o mode=755 control "$control"
mkdir "$control/secrets"

# Each is stored, and comes to the other folder by a rename, at about the same time.
values() { # ROUND
	local name
	: >"$control/empty"
	printf x >"$control/byte"
	seq "$1" 2000 >"$control/lines"
	head -c 4096 /dev/zero | tr '\0' "$1" >"$control/page"
	seq 149797 >"$control/large" # a little less than 1 MiB
	truncate -s $((1048577 - $1)) "$control/large"
	head -c 70000 /dev/urandom >"$control/binary"
	for name in "${names[@]}"; do
		chmod 444 "$control/$name"
		touch "$control/$name"
		mv -f "$control/$name" "$control/secrets/$name"
		succeeds coffer put "$name" --file "$control/secrets/$name"
	done
}

unsealed_broker
values 1
for name in "${names[@]}"; do
	succeeds coffer grant "$name" --container web
done
mkdir -p "$D/web.bundle/rootfs/srv"
cp "$(dirname "$0")/like_a_file.py" "$D/web.bundle/rootfs/srv/"
debian_container web --mount "$control/secrets:/control" \
	--jq '(.mounts[] | select(.destination == "/control") | .options) = ["bind", "ro", "nosuid", "nodev", "noexec"]'

folder_time() {
	in_container web stat -c %.Y $secrets
}
for round in 2 3; do
	before=$(folder_time)
	values $round
	after=$(folder_time)
	[[ $before < $after ]] || fail "the folder has changed at $after, before a rotation at $before"
	succeeds in_container web test $secrets -nt $secrets/binary
	run in_container web /usr/bin/python3 /srv/like_a_file.py $secrets /control "${names[@]}"
	[[ $status -eq 0 ]] || fail "in round $round: $(cat "$D/out" "$D/err")"
	[[ $(folder_time) == "$after" ]] || fail "the folder's time changed by itself"
	cat "$D/out"
done
