#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What inotify tells a container of a rotation: exactly one IN_MOVED_TO on the folder for each, as for a rename over a
# file, and nothing of how we make it. A watcher on the file itself sees it go. What comes and goes by put, rm, grant,
# revoke, rollback and expiry, in the folder and in folders below it, counted exactly; who watches something else hears
# nothing.
. "$(dirname "$0")/lib.sh"
# shellcheck source=rotation-lib.sh
. "$here/rotation-lib.sh"

ROTATIONS=${COFFER_ROTATIONS:-$(rotations 200)}
secrets=/run/secrets

unsealed_broker
rotate_to db 1
for name in app/cert app/key other end; do
	put $name first
done
for name in db app/ other end; do
	succeeds coffer grant $name --container web
done
for name in other end; do
	succeeds coffer grant $name --container api
done
rotation_container web
rotation_container api

# With opens and reads: not even those may come while nobody in the container reads.
start_watcher folder web -a "$secrets DELETE end" $secrets
start_watcher below web -a "$secrets DELETE end" $secrets/app $secrets
start_watcher neighbour api -a "$secrets DELETE end" $secrets

for ((version = 2; version <= ROTATIONS + 1; version++)); do
	rotate_to db $version
	if ((version % 10 == 0)); then
		succeeds coffer put app/cert=@<(echo "cert $version") app/key=@<(echo "key $version")
	fi
done
pairs=$((ROTATIONS / 10))

# What goes and what comes, one by one.
succeeds coffer rm other
succeeds coffer rm app/key
put app/new first
put sub/a first
put sub/deep/b first
succeeds coffer grant sub/ --container web
grant=$(cat "$D/out")
put sub/a second
succeeds coffer revoke "$grant"
put late first
succeeds coffer grant late --container web
succeeds coffer rollback db --to "$ROTATIONS"
succeeds coffer put brief=@<(echo brief) --expires 2s
succeeds coffer grant brief --container web
await_line "$D/folder.events" "$secrets DELETE brief"
succeeds coffer rm end
for name in folder below neighbour; do
	await_watcher $name
done

rotations=$((ROTATIONS + 1)) # and the rollback
saw folder $rotations "$secrets MOVED_TO db"
for line in 'DELETE other' 'CREATE|ISDIR sub' 'DELETE|ISDIR sub' 'MOVED_TO late' 'MOVED_TO brief' 'DELETE brief' 'DELETE end'; do
	saw folder 1 "$secrets $line"
done
root_lines=("$secrets MOVED_TO db" "$secrets DELETE other" "$secrets CREATE|ISDIR sub" "$secrets DELETE|ISDIR sub"
	"$secrets MOVED_TO late" "$secrets MOVED_TO brief" "$secrets DELETE brief" "$secrets DELETE end")
saw_only folder "${root_lines[@]}"

saw below $pairs "$secrets/app MOVED_TO cert"
saw below $pairs "$secrets/app MOVED_TO key"
saw below 1 "$secrets/app DELETE key"
saw below 1 "$secrets/app MOVED_TO new"
saw below $rotations "$secrets MOVED_TO db"
saw_only below "$secrets/app MOVED_TO cert" "$secrets/app MOVED_TO key" "$secrets/app DELETE key" \
	"$secrets/app MOVED_TO new" "${root_lines[@]}"

saw neighbour 1 "$secrets DELETE other"
saw_only neighbour "$secrets DELETE other" "$secrets DELETE end"

# A watcher on the file itself: what it watches is one version, which goes; the folder is what to watch.
watcher_saw_it_go() { # HOW
	await_watcher file
	[[ $(cat "$D/file.events") == "$gone" ]] || fail "a watcher on a file that $1 saw $(cat "$D/file.events")"
}
gone="$secrets/db ATTRIB
$secrets/db DELETE_SELF
$secrets/db IGNORED"
next=$((ROTATIONS + 3))
for ((version = next; version < next + 5; version++)); do
	start_watcher file web "$secrets/db IGNORED" $secrets/db
	rotate_to db $version
	watcher_saw_it_go 'was rotated'
done

# Held open, it goes with the last close.
start_watcher file web "$secrets/db IGNORED" $secrets/db
mkfifo "$D/hold"
: >"$D/held.log"
runc exec web sh -c "exec 3<$secrets/db; echo open; cat" <"$D/hold" >"$D/held.log" 2>&1 &
holder=$!
exec {hold}>"$D/hold"
await_line "$D/held.log" open
rotate_to db $version
await_line "$D/file.events" "$secrets/db ATTRIB"
[[ $(wc -l <"$D/file.events") -eq 1 ]] || fail "with the file open, its watcher saw $(cat "$D/file.events")"
exec {hold}>&-
wait $holder
watcher_saw_it_go 'was rotated while it was open'

start_watcher file web "$secrets/db IGNORED" $secrets/db
succeeds coffer rm db
watcher_saw_it_go 'was removed'

# Where nothing was granted, the folder is the container's own, and a watcher on it hears nothing of the mount that
# comes over it with the first grant. `coffer attach` makes the mount before.
for way in bare attached; do
	rotation_container $way
	[[ $way == bare ]] || succeeds coffer attach $way
	start_watcher $way $way '/tmp CREATE done' $secrets /tmp
	succeeds coffer grant late --container $way
	reads $way $secrets/late first
	succeeds in_container $way sh -c ': >/tmp/done'
	await_watcher $way
done
saw_only bare '/tmp CREATE done'
saw attached 1 "$secrets MOVED_TO late"
saw_only attached "$secrets MOVED_TO late" '/tmp CREATE done'
