#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Node: fs.watch on the folder, fs.watchFile, and chokidar on the file and on the folder notice every rotation and
# removal, and the program reads the new value; fs.watch on the file itself says once that it went, as for any rename.
. "$(dirname "$0")/programs-lib.sh"

unsealed_broker
put db value-1
put other other
succeeds coffer grant db --container web
succeeds coffer grant other --container web
mkdir -p "$D/web.bundle/rootfs/srv"
cat >"$D/web.bundle/rootfs/srv/watch.js" <<'JS'
const fs = require('fs');
const chokidar = require('chokidar');
const folder = '/run/secrets', file = folder + '/db';
const value = () => {
	try { return fs.readFileSync(file, 'utf8'); } catch (error) { return error.code; }
};
const say = (who, what) => {
	console.log(who, what, value());
	setTimeout(() => console.log('settled'), 100);
};
switch (process.argv[2]) {
case 'folder': fs.watch(folder, (event, name) => say(event, name)); break;
case 'file': fs.watch(file, (event, name) => say(event, name)); break;
case 'watchFile': fs.watchFile(file, { interval: 50 }, (now, before) => say('stat', now.ino !== before.ino)); break;
case 'chokidar-file': chokidar.watch(file, { ignoreInitial: true }).on('all', say).on('ready', ready); break;
case 'chokidar-folder': chokidar.watch(folder, { ignoreInitial: true }).on('all', say).on('ready', ready); break;
}
function ready() { console.log('watching'); }
if (!process.argv[2].startsWith('chokidar'))
	fs.stat(file, () => setImmediate(ready)); // watchFile's first look comes before
JS
debian_container web
exec_options=(--env NODE_PATH=/usr/share/nodejs)

watchers=(folder file watchFile chokidar-file chokidar-folder)
for name in "${watchers[@]}"; do
	start_program "$name" web node /srv/watch.js "$name"
	expect "$name" '^watching$'
done
for ((version = 2; version <= ROTATIONS + 1; version++)); do
	put db value-$version
	expect folder "^rename db value-$version\$"
	[[ $version -gt 2 ]] || expect file "^rename db value-$version\$"
	expect watchFile "^stat true value-$version\$"
	expect chokidar-file "^(change|add) $secrets/db value-$version\$"
	expect chokidar-folder "^(change|add) $secrets/db value-$version\$"
	# chokidar keeps silent about what changes within 50 ms of another change, on every file system.
	expect chokidar-file '^settled$'
	expect chokidar-folder '^settled$'
done
succeeds coffer rm db
expect folder '^rename db ENOENT$'
expect watchFile '^stat true ENOENT$'
expect chokidar-file "^unlink $secrets/db ENOENT\$"
expect chokidar-folder "^unlink $secrets/db ENOENT\$"
[[ $(said folder '^rename db value-') -eq $ROTATIONS ]] ||
	fail "fs.watch on the folder said $(said folder '^rename db value-') times, not $ROTATIONS: $(cat "${program_log[folder]}")"
for name in "${watchers[@]}"; do
	[[ $name == file || $(said "$name" ENOENT) -eq 1 ]] || fail "to $name the file was away: $(cat "${program_log[$name]}")"
	[[ $(said "$name" other) -eq 0 ]] || fail "$name was told of a file that has not changed"
done
for name in "${watchers[@]}"; do
	echo "$name: $(grep -v settled "${program_log[$name]}" | cut -d ' ' -f 1 | sort | uniq -c | tr '\n' ' ')"
done
