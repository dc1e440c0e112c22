#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Workers killed while they rotate: a watcher in the container still sees exactly one IN_MOVED_TO for each version,
# nothing else, and who opens after put has returned reads the new version.
. "$(dirname "$0")/lib.sh"
# shellcheck source=rotation-lib.sh
. "$here/rotation-lib.sh"

ROTATIONS=${COFFER_ROTATIONS:-$(rotations 200)}
secrets=/run/secrets

unsealed_broker
rotate_to db 1
put sub/stays first
put end first
for name in db sub/ end; do
	succeeds coffer grant $name --container web
done
rotation_container web
start_watcher folder web "$secrets DELETE end" $secrets/sub $secrets

# Workers that end within 0.2 s of their start, eleven in a row, count as crashing (throttle.h): now and then one serves
# for longer before it is killed.
lives_for_a_while() { # PID
	local started now ticks
	ticks=$(getconf CLK_TCK)
	started=$(awk '{ print $22 }' "/proc/$1/stat")
	until read -r now _ </proc/uptime && awk -v now="$now" -v started="$started" -v ticks="$ticks" \
		'BEGIN { exit !(now > started / ticks + 0.5) }'; do :; done
}

# under_kill COMMAND...: while its worker is killed, each time at another moment: before, while and after the attacher
# makes the change in the container.
kills=0
under_kill() {
	local worker
	succeeds in_container web stat -f $secrets # answered by a worker always: the last one's successor is there
	worker=$(coffer ps --json | jq -r '.attachments[0].worker // empty')
	[[ $((kills % 8)) -ne 7 ]] || lives_for_a_while "$worker"
	{
		for ((turn = 0; turn < (kills * 397) % 16000; turn++)); do :; done
		kill -9 "$worker"
	} &
	killer=$!
	"$@"
	wait $killer || fail "the worker to be killed was gone already"
	kills=$((kills + 1))
}

comings=0 goings=0
for ((version = 2; version <= ROTATIONS + 1; version++)); do
	case $((version % 4)) in
	0)
		under_kill rotate_to db $version
		succeeds in_container web cat $secrets/db
		cmp "$D/out" <(value_of_version $version) || fail "after put, db is not version $version"
		;;
	1)
		rotate_to db $version
		under_kill succeeds coffer put sub/flips=@<(echo "$version")
		comings=$((comings + 1))
		;;
	2) rotate_to db $version ;;
	3)
		rotate_to db $version
		[[ $comings -gt $goings ]] || continue
		under_kill succeeds coffer rm sub/flips
		goings=$((goings + 1))
		;;
	esac
done
succeeds coffer rm end
await_watcher folder
saw folder "$ROTATIONS" "$secrets MOVED_TO db"
saw folder $comings "$secrets/sub MOVED_TO flips"
saw folder $goings "$secrets/sub DELETE flips"
saw_only folder "$secrets MOVED_TO db" "$secrets/sub MOVED_TO flips" "$secrets/sub DELETE flips" "$secrets DELETE end"
echo "$ROTATIONS rotations, $comings comings, $goings goings, $kills kills"
