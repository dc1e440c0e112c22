#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Whatever ends, a container's files do not: reads work before, while and after the broker is away (killed, or
# stopped), and when a worker is killed. The next broker knows who was registered and looks again whether they still
# are. When a container ends nothing of it is left.
. "$(dirname "$0")/lib.sh"

broker_options=(--keyfile "$D/key")
unsealed_broker
put db first
put marker seen
megabyte() { # LETTER [BYTES]
	head -c "${2:-1000000}" /dev/zero | tr '\0' "$1"
}
megabyte o | coffer put large >/dev/null
for name in db marker large; do
	succeeds coffer grant $name --container web
done

attachment() { # CONTAINER FIELD: as ps says
	coffer ps --json | jq -r ".attachments[] | select(.container == \"$1\") | .$2"
}

# A process of web that opens and reads db again and again until told to stop; it says how often, and what failed.
start_reading() {
	mkfifo "$D/reads"
	runc exec web sh -c '
		rm -f /tmp/stop; n=0
		while [ ! -e /tmp/stop ]; do
			case $(cat /run/secrets/db 2>&1) in
			first | second | third) n=$((n + 1)) ;;
			*) cat /run/secrets/db 2>&1; echo FAILED ;;
			esac
			[ $n -ne 3 ] || echo reading
		done
		echo "$n reads"' >"$D/reads" 2>&1 </dev/null &
	exec {reads}<"$D/reads"
	rm "$D/reads"
	read -r line <&"$reads"
	[[ $line == reading ]] || fail "the process that reads on and on said '$line'"
}

stop_reading() {
	succeeds in_container web touch /tmp/stop
	cat <&"$reads" >"$D/read.log"
	exec {reads}<&-
	grep -qE '^[0-9]+ reads$' "$D/read.log" || fail "the process that reads on and on ended: $(cat "$D/read.log")"
	! grep -q FAILED "$D/read.log" || fail "a read failed: $(head -c 2000 "$D/read.log")"
}

# A process of web that has opened the large file, read a byte of it, and reads on when told to.
open_large() {
	mkfifo "$D/go" "$D/said"
	runc exec web sh -c 'exec 3</run/secrets/large; dd bs=1 count=1 <&3 2>/dev/null; echo " opened"; read -r _; md5sum <&3' \
		<"$D/go" >"$D/said" 2>&1 &
	exec {go}>"$D/go" {said}<"$D/said"
	rm "$D/go" "$D/said"
	read -r line <&"$said"
	[[ $line == "$1 opened" ]] || fail "the process with an open file said '$line'"
}

reads_on() { # LETTER: it has the rest of the version that it opened
	local got
	echo >&"$go"
	read -r got _ <&"$said"
	exec {go}>&- {said}<&-
	[[ $got == "$(megabyte "$1" 999999 | md5sum | cut -d' ' -f1)" ]] || fail "the rest of the open file is '$got'"
}

container web --tmpfs /tmp
container late
container gone
bundle manual --tmpfs /run
run_container manual
succeeds coffer grant db --container manual
succeeds coffer attach manual
succeeds coffer detach manual
reads web /run/secrets/db first
succeeds coffer grant db --container gone
reads gone /run/secrets/db first
gone_worker=$(attachment gone worker)
instance=$(attachment web instance)
late=$(attachment late instance)

next=(second third)
for signal in KILL TERM; do
	start_reading
	open_large o
	stop_broker $signal
	[[ $signal == KILL || $broker_status -eq 0 ]] || fail "the broker ended with status $broker_status on SIGTERM"
	reads web /run/secrets/large "$(megabyte o)"
	reads web /run/secrets/marker seen
	[[ ! -d $D/runc/gone ]] || delete_container gone
	start_broker
	succeeds coffer status --json
	says_json '.state == "unsealed"'
	reads web /run/secrets/marker seen
	succeeds coffer put db --file <(printf '%s' "${next[0]}")
	reads web /run/secrets/db "${next[0]}"
	next=("${next[@]:1}")
	megabyte p | coffer put large >/dev/null
	reads web /run/secrets/large "$(megabyte p)"
	reads_on o
	megabyte o | coffer put large >/dev/null
	stop_reading
	audit_has open '.container == "web" and .name == "marker" and .result == "granted"'
	[[ $(attachment web instance) == "$instance" ]] || fail "web is another instance: $(attachment web instance)"
	[[ $(attachment web state) == attached ]] || fail "web is $(attachment web state): $(attachment web reason)"
	[[ $(attachment late instance) == "$late" ]] || fail "late is another instance: $(attachment late instance)"
	[[ -z $(attachment gone instance) ]] || fail "a container that ended meanwhile is still listed"
	succeeds "$here/await" end "$gone_worker" # its worker holds its own mount, and would stay for ever
	[[ $(attachment manual state) == detached ]] || fail "detach did not hold: $(attachment manual state)"
done
succeeds coffer audit verify

# What no grant matched before is registered all the same: a grant of now reaches it.
succeeds coffer grant db --container late
reads late /run/secrets/db third
succeeds coffer attach manual
reads manual /run/secrets/db third

# The opens while there was no broker are in the log.
opens=$(coffer audit --json | jq -s 'map(select(.event == "open" and .container == "web" and .name == "marker") | .count) | add')
[[ $opens -ge 4 ]] || fail "of 4 opens of marker the log has $opens"

# A worker that is killed: a successor on the same mount.
open_large o
worker=$(attachment web worker)
start_reading
kill -9 "$worker"
reads web /run/secrets/marker seen
reads_on o
stop_reading
await_audit worker.ended '.container == "web"'
successor=$(attachment web worker)
[[ $successor != null && $successor != "$worker" ]] || fail "the killed worker's successor is '$successor'"
[[ $(attachment web state) == attached ]] || fail "web is $(attachment web state): $(attachment web reason)"
put db first
reads web /run/secrets/db first

# Ended: no process, no descriptor, no registration of it is left; whether its runtime says so or not.
ours() { # processes that the broker started, and itself
	sort "$BROKER_CGROUP/cgroup.procs"
}
open_files() {
	local pid
	for pid in $(ours); do
		find "/proc/$pid/fd" -mindepth 1 2>/dev/null || true
	done | wc -l
}
least_open_files() { # a client that has left is noticed at the next turn of the loop
	local least=99999 now try
	for try in $(seq 20); do
		succeeds coffer status
		now=$(open_files)
		[[ $now -ge $least ]] || least=$now
	done
	echo "$least"
}
ours >"$D/before"
files=$(least_open_files)
for way in delete kill; do
	succeeds coffer grant db --container $way
	container $way
	reads $way /run/secrets/db first
	worker=$(attachment $way worker)
	registered=$(attachment $way instance)
	[[ -e $RUN/containers/$registered.json ]] || fail "a running container has no registration in $RUN/containers"
	pid=$(container_pid $way)
	if [[ $way == kill ]]; then
		kill -9 "$pid"
	else
		delete_container $way
	fi
	await_audit end ".instance == \"$registered\""
	mapfile -t left < <(comm -13 "$D/before" <(ours)) # attachers that were on their way, too
	"$here/await" end "$pid" "$worker" "${left[@]}"
	[[ -z $(comm -13 "$D/before" <(ours)) ]] || fail "left over: $(comm -13 "$D/before" <(ours))"
	[[ ! -e $RUN/containers/$registered.json ]] || fail "the registration of an ended container stays"
	[[ $(least_open_files) -le $files ]] || fail "$(least_open_files) descriptors are open instead of $files"
done
