#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# inotifywait -m and tail -F notice every rotation, and tail shows the new content. tail takes every FUSE mount for one
# on which inotify may not work, and looks by itself each second (-s); told to look, it does the same.
. "$(dirname "$0")/programs-lib.sh"

unsealed_broker
coffer put db=@<(echo value-1) >/dev/null
succeeds coffer grant db --container web
debian_container web

start_program inotifywait web inotifywait -m $secrets
expect inotifywait 'Watches established'
start_program tail web tail -n +1 -s 0.1 -F $secrets/db
start_program polling web tail -n +1 -s 0.1 ---disable-inotify -F $secrets/db
for name in tail polling; do
	expect $name '^value-1$'
done
for ((version = 2; version <= ROTATIONS + 1; version++)); do
	succeeds coffer put db=@<(echo value-$version)
	expect inotifywait "^$secrets/ MOVED_TO db\$"
	for name in tail polling; do
		expect $name "has been replaced;  following new file"
		expect $name "^value-$version\$"
	done
done
for name in tail polling; do
	[[ $(said $name '^value-') -eq $version-1 ]] || fail "$name showed $(said $name '^value-') values"
	[[ $(said $name 'has become inaccessible|cannot') -eq 0 ]] || fail "to $name the file was away"
done
succeeds coffer rm db
expect inotifywait "^$secrets/ DELETE db\$"
expect tail "$secrets/db' has become inaccessible: No such file"
put db back
expect tail "$secrets/db' has appeared;  following new file"
