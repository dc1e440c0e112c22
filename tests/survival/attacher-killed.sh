#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The attacher is killed, or its calls fail, at every one of its calls that matter, in the middle of a mount, a rotation,
# a removal, an unmount: a change is repeated by itself, and watchers hear of it once; a mount and an unmount either went
# through or say why not and leave nothing, and work the next time.
. "$(dirname "$0")/../integration/lib.sh"

STRIKE=$COFFER_BUILD/tests/lib/strike
unsealed_broker
put db value-0
put gone here
succeeds coffer grant db --container web
succeeds coffer grant gone --container web
container web --tmpfs /run --with inotifywait
pid=$(container_pid web)
spawner=$(pgrep -P "$broker_pid" -x coffer-spawner)
succeeds coffer detach web
succeeds in_container web mkdir -p /run/secrets/theirs # is taken up, and set down again
succeeds coffer attach web

attachers() { # they carry the spawner's name
	pgrep -P "$spawner" -x coffer-spawner || true
}
settle() { # no attacher is there any more: a look at a mount, the undoing of one
	local left
	coffer status >/dev/null # what was to be asked of the spawner has been
	while mapfile -t left < <(attachers) && [[ ${#left[@]} -gt 0 ]]; do
		"$here/await" end "${left[@]}"
		coffer status >/dev/null
	done
}
mounts() { # of ours, in the container
	grep -c -- ' - fuse.coffer ' "/proc/$pid/mountinfo" || true
}
eventually() { # COMMAND...: within a minute
	local until=$((SECONDS + 60))
	until "$@"; do
		[[ $SECONDS -lt $until ]] || fail "${at-}: not even after a minute: $*"
		coffer status >/dev/null
	done
}

# While COMMAND runs, the N-th call CALL of the attachers is struck; sets struck, and status as run does.
declare -i strikes=0
strike() { # CALL N entry|exit kill|ERROR COMMAND...
	local fifo=$D/strike.in in out line
	[[ -p $fifo ]] || mkfifo "$fifo"
	exec {out}< <(exec "$STRIKE" "$spawner" "${@:1:4}" <"$fifo" 2>&1)
	exec {in}>"$fifo"
	read -r -t 60 -u "$out" line || fail "strike says nothing"
	[[ $line == ready ]] || fail "strike said '$line'"
	run "${@:5}"
	settle
	exec {in}>&-
	read -r -t 60 -u "$out" struck || fail "strike says nothing in the end"
	exec {out}<&-
	[[ $struck != struck ]] || strikes+=1
}

each() { # FUNCTION CALL[:MOMENT]...: with the first, second, … call until there is none
	local place call moment what n
	for place in "${@:2}"; do
		call=${place%:*} moment=entry
		[[ $place != *:* ]] || moment=${place#*:}
		for what in "${deeds[@]}"; do
			[[ $moment == entry || $what == kill ]] || continue
			for ((n = 1; n < 100; n++)); do
				at="$call number $n, $moment, $what"
				$1 "$call" "$n" "$moment" "$what"
				[[ $struck == struck ]] || break
			done
		done
	done
}

# ---- a mount, and its end ----

none_is_left() { [[ $(mounts) -eq 0 ]]; }
only_what_was() { [[ $(sort "$BROKER_CGROUP/cgroup.procs") == "$before" ]]; }
unmounted() {
	eventually none_is_left
	eventually only_what_was
}
mounted() {
	[[ $(mounts) -eq 1 ]] || fail "$at: $(mounts) mounts instead of one"
	reads web /run/secrets/db "$value"
	succeeds in_container web test -d /run/secrets/theirs
}
well_or_said() { # the command that was struck; true if it went well
	echo "$at: $struck, status $status $(cat "$D/err")" >>"$D/strikes.log"
	[[ $status -ne 0 ]] || return 0
	[[ -s $D/err && $(wc -l <"$D/err") -eq 1 ]] || fail "$at: it said '$(cat "$D/err")'"
	return 1
}
mount_struck() {
	strike "$@" coffer attach web
	if ! well_or_said; then
		unmounted
		succeeds coffer attach web
	fi
	mounted
	succeeds coffer detach web
	unmounted
}
unmount_struck() {
	succeeds coffer attach web
	settle
	strike "$@" coffer detach web
	well_or_said || succeeds coffer detach web
	unmounted
}
lost() {
	coffer ps --json | jq -e '.attachments[] | select(.container == "web") | .state == "lost"' >/dev/null
}
look_struck() { # an unmount from inside is noticed all the same
	succeeds coffer attach web
	settle
	strike "$@" nsenter -t "$pid" -m umount -l /run/secrets
	[[ $status -eq 0 ]] || fail "$at: $(cat "$D/err")"
	eventually lost
	succeeds coffer detach web
	unmounted
}

value="value-0"
succeeds coffer detach web
settle
before=$(sort "$BROKER_CGROUP/cgroup.procs")
deeds=(kill)
each mount_struck fsopen fsconfig fsmount clone setns mkdirat unshare mount open_tree mount_setattr move_mount \
	move_mount:exit sendmsg sendmsg:exit
each unmount_struck setns umount2 umount2:exit sendmsg sendmsg:exit
each look_struck setns sendmsg sendmsg:exit
deeds=(EPERM ENOMEM ENOSPC)
each mount_struck fsopen fsmount open_tree mount_setattr move_mount sendmsg
each unmount_struck umount2
echo "mounts and unmounts: $strikes strikes, $SECONDS s"

# ---- a container's start ----

succeeds coffer grant db --container started
bundle started --hook --tmpfs /run
start_struck() { # it runs with its secret, or not at all, and nothing is left of it
	strike "$@" runc run --detach --bundle "$D/started.bundle" started
	if [[ $status -ne 0 ]]; then
		grep -q coffer "$D/err" || fail "$at: runc said '$(cat "$D/err")'"
		runc delete --force started >>"$D/started.log" 2>&1 || [[ ! -d $D/runc/started ]]
		eventually only_what_was
		run_container started
	fi
	reads started /run/secrets/db "$value"
	delete_container started
	eventually only_what_was
}
deeds=(kill)
each start_struck mkdirat fsopen move_mount:exit sendmsg
deeds=(ENOSPC)
each start_struck mkdirat
echo "with starts: $strikes strikes, $SECONDS s"

# ---- rotations and removals ----

succeeds coffer attach web
settle
exec {watch}< <(runc exec web inotifywait -m -e delete,moved_to,moved_from,create --format '%e %f' /run/secrets 2>&1 </dev/null)
until [[ ${line-} == *established* ]]; do
	read -r -t 60 -u "$watch" line || fail "inotifywait says nothing"
done
declare -i version=1 rounds=0
heard() { # LINE: the watcher did, and nothing else since the last
	read -r -t 60 -u "$watch" line || fail "$at: inotifywait says nothing"
	[[ $line == "$1" ]] || fail "$at: inotifywait says '$line', not '$1'"
}
shown_everywhere() { # put, rm: they say the truth, and need not give up on the container
	[[ $status -eq 0 && ! -s $D/err ]] || fail "$at: status $status, $(cat "$D/err")"
}
rotation_struck() {
	version+=1
	value=value-$version
	printf '%s' "$value" >"$D/value"
	strike "$@" coffer put db --file "$D/value"
	shown_everywhere
	reads web /run/secrets/db "$value"
	heard 'MOVED_TO db'
	succeeds coffer history db --json
	says_json "[.versions[].version] | max == $version"
}
removal_struck() { # of what a process holds open
	exec {held}< <(runc exec web sh -c 'exec 3</run/secrets/gone; echo open; read -r _; cat <&3' <"$D/go" 2>&1)
	exec {go}>"$D/go"
	read -r -t 60 -u "$held" line
	[[ $line == open ]] || fail "the process with an open file said '$line'"
	strike "$@" coffer rm gone
	shown_everywhere
	lacks web /run/secrets/gone
	heard 'DELETE gone'
	echo >&"$go"
	exec {go}>&-
	read -r -t 60 -u "$held" line || true
	exec {held}<&-
	[[ $line == *'Permission denied'* ]] || fail "$at: the open file of what was removed gives '$line'"
	put gone here
	heard 'MOVED_TO gone'
}
mkfifo "$D/go"
deeds=(kill EPERM ENOMEM ENOSPC)
each rotation_struck openat2 renameat renameat:exit sendmsg sendmsg:exit
deeds=(kill EIO)
each removal_struck openat2 unlinkat unlinkat:exit write write:exit sendmsg sendmsg:exit
succeeds coffer ps --json
says_json '.attachments[0].files[] | select(.path == "db") | .version == '"$version"
succeeds coffer audit verify
[[ $strikes -ge 100 ]] || fail "only $strikes strikes"
echo "$strikes strikes, $SECONDS s"
