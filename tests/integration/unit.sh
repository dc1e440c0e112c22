#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A systemd service is known by its cgroup, in each hierarchy, and by nothing that it can make itself. With a mount
# namespace of its own it gets a mount, which serves its processes only; in the host's it has the workload socket.
. "$(dirname "$0")/lib.sh"

# Both builds' run may come at the same time, and there is one host to make look like systemd's.
exec {alone}<"${BASH_SOURCE[0]}"
flock "$alone"
# How programs tell that systemd manages a host (sd_booted(3)): without, no cgroup's name means anything.
if [[ ! -d /run/systemd/system ]]; then
	mkdir -p /run/systemd/system
	on_exit+=("rmdir /run/systemd/system")
fi

make_cgroup() { # FOLDER: gone at the end, with those above it that were not there
	local folder
	for folder in "$(dirname "$1")" "$1"; do
		if [[ ! -d $folder ]]; then
			mkdir -p "$folder"
			on_exit+=("rmdir '$folder'")
		fi
	done
}

start() { # NAME CGROUP COMMAND...: its first process is there, in the cgroup, when this returns; its pid: ${pid[NAME]}
	mkfifo "$D/started"
	bash -c 'echo $$ >"$1/cgroup.procs"; exec "${@:2}"' start "$2" "${@:3}" >"$D/started" 2>"$D/$1.log" </dev/null &
	pid[$1]=$!
	disown $!
	on_exit+=("end_processes $!")
	read -r _ <"$D/started"
	rm "$D/started"
}
declare -A pid

SERVICE='echo started; exec >/dev/null; exec sleep infinity'
# In a mount namespace of its own, where /run/secrets is nobody else's.
OWN_MOUNTS="mount -t tmpfs tmpfs /run; $SERVICE"

within() { # CGROUP PID COMMAND...: a process of that cgroup, in the mount namespace of PID
	bash -c 'echo $$ >"$1/cgroup.procs"; exec nsenter --target "$2" --mount "${@:3}"' within "$@"
}

ask() { # CGROUP METHOD PARAMETERS
	bash -c 'echo $$ >"$1/cgroup.procs"; printf "%s\0" "$3" | socat -t 10 - "UNIX-CONNECT:$2/sock" | tr "\0" "\n"' \
		ask "$1" "$RUN/workload" "{\"method\":\"io.coffer.workload.$2\",\"parameters\":$3}"
}

unsealed_broker
put db value
put other not-for-it
unit=coffer-demo-$TAG.service
succeeds coffer grant db --unit "$unit"
db_grant=$(cat "$D/out")
succeeds coffer grant other --unit other.service

# With mounts of its own.
slice=$CGROUP2/system.slice
make_cgroup "$slice/$unit"
start service "$slice/$unit" unshare --mount --propagation private sh -c "$OWN_MOUNTS"
succeeds coffer explain --pid "${pid[service]}" --json
says_json "any(.matches[]; .grant == \"$db_grant\" and .matches and .strength == \"strong\")"
says_json "all(.matches[]; .grant == \"$db_grant\" or (.matches | not))"
says_json "any(.facts[]; .name == \"unit\" and .value == \"$unit\")"
succeeds coffer attach --pid "${pid[service]}"
succeeds within "$slice/$unit" "${pid[service]}" cat /run/secrets/db
says value
audit_has attach ".container == \"$unit\" and .runtime == \"systemd\""
audit_has open ".container == \"$unit\" and .name == \"db\" and .result == \"granted\""
put db newer
succeeds within "$slice/$unit" "${pid[service]}" cat /run/secrets/db
says newer
[[ ! -e /run/secrets/db ]] || fail "the mount is in the host's /run/secrets"
succeeds coffer ps --json
says_json "any(.attachments[]; .container == \"$unit\" and .pid == ${pid[service]} and .state == \"attached\")"

# Its pid namespace is the host's: whoever is in its mount namespace but in another cgroup is refused.
run nsenter --target "${pid[service]}" --mount cat /run/secrets/db
[[ $status -ne 0 && ! -s $D/out ]] || fail "a process of another cgroup reads the service's secret"
await_audit open ".container == \"$unit\" and .result == \"EACCES\""

# In the host's mount namespace: the socket, and no mount.
make_cgroup "$slice/coffer-plain-$TAG.service"
succeeds coffer grant db --unit "coffer-plain-$TAG.service"
start plain "$slice/coffer-plain-$TAG.service" sh -c "$SERVICE"
fails 1 "host's mount namespace.*workload socket" coffer attach --pid "${pid[plain]}"
succeeds ask "$slice/coffer-plain-$TAG.service" Identity '{}'
says_json ".parameters | .container == \"coffer-plain-$TAG.service\" and .runtime == \"systemd\" and (.mounted | not)"
succeeds ask "$slice/coffer-plain-$TAG.service" Get '{"path":"db"}'
says_json '(.parameters.value | @base64d) == "newer"'
succeeds ask "$slice/coffer-plain-$TAG.service" Get '{"path":"other"}'
says_json '.error == "io.coffer.workload.NotFound"'
succeeds ask "$slice/coffer-plain-$TAG.service" Attach '{}'
says_json '.error == "io.coffer.workload.AttachFailed"'
audit_has api.get ".container == \"coffer-plain-$TAG.service\" and .name == \"db\" and .result == \"granted\""
[[ ! -e /run/secrets/db ]] || fail "the mount is in the host's /run/secrets"

# What a service makes below its cgroup is its own affair; a slice that is not root's vouches for nothing.
make_cgroup "$slice/$unit/other.service"
succeeds ask "$slice/$unit/other.service" Identity '{}'
says_json ".parameters.container == \"$unit\""
succeeds ask "$slice/$unit/other.service" Get '{"path":"other"}'
says_json '.error == "io.coffer.workload.NotFound"'
make_cgroup "$CGROUP2/coffer-$TAG.slice/other.service"
chown 1000 "$CGROUP2/coffer-$TAG.slice"
start made "$CGROUP2/coffer-$TAG.slice/other.service" unshare --mount --propagation private sh -c "$OWN_MOUNTS"
succeeds coffer explain --pid "${pid[made]}" --json
says_json 'all(.matches[]; .matches | not)'
chown 0 "$CGROUP2/coffer-$TAG.slice"
succeeds coffer explain --pid "${pid[made]}" --json
says_json 'any(.matches[]; .matches and .name == "other")'

# Hosts with cgroups of version 1 keep services in the hierarchy named systemd.
if [[ -e /sys/fs/cgroup/systemd/cgroup.procs ]]; then
	v1=/sys/fs/cgroup/systemd/system.slice/coffer-old-$TAG.service
	make_cgroup "$v1"
	succeeds coffer grant db --unit "coffer-old-$TAG.service"
	start old "$v1" unshare --mount --propagation private sh -c "$OWN_MOUNTS"
	succeeds coffer explain --pid "${pid[old]}" --json
	says_json 'any(.matches[]; .matches and .strength == "strong")'
	succeeds ask "$v1" Get '{"path":"db"}'
	says_json '(.parameters.value | @base64d) == "newer"'
fi

# When the service ends, so does what is known of it.
end_processes "${pid[service]}"
await_audit end ".container == \"$unit\""
succeeds coffer ps --json
says_json "all(.attachments[]; .container != \"$unit\")"
succeeds coffer audit verify
