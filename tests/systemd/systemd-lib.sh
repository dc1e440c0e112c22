# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The driver of the scenarios with a real systemd, over that of the integration scenarios: a machine of its own for each
# (systemd-nspawn on a throw-away layer over the root that tests/systemd/root has made), with this build installed in it as
# a package would. What lib.sh runs beside the broker (coffer, runc, bundles) is here run in the machine.
#
#   boot [COMMAND...]     the machine, unit enabled; the commands run on its files before its pid 1 does
#   reboot                shut down and booted again, with its files as they are
#   machine COMMAND...    a command in it, as a login there would have it
#   page NAME             the commands of docs/install.md with that name, in the machine's /src
#   $M                    its root, seen from here
. "$(dirname "${BASH_SOURCE[0]}")/../integration/lib.sh"

for need in systemd-nspawn nsenter cmake; do
	command -v "$need" >/dev/null || { echo "$need is missing: see tests/install-packages" >&2; exit 1; }
done
BASE=$COFFER_BUILD/systemd-root
[[ -d $BASE ]] || { echo "$BASE is missing: tests/systemd/root $BASE makes it" >&2; exit 1; }

M=$D/machine
STATE=$M/var/lib/coffer
MACHINE_CGROUP=coffer-test-$TAG-machine
# Both, where v1 and v2 are side by side: systemd has its own hierarchy among the first.
machine_hierarchies=("$CGROUP2")
[[ ! -e /sys/fs/cgroup/systemd/cgroup.procs ]] || machine_hierarchies+=(/sys/fs/cgroup/systemd)
nspawn_pid=
leader_pid=
unset COFFER_RUNTIME_DIR # the unit's is the default

# ---- the machine ----

remove_cgroups() { # left by containers that ended with it, in hierarchies that they share with us
	local at
	while read -r at; do
		find "$at" -depth -type d -exec rmdir {} \;
	done < <(find /sys/fs/cgroup -maxdepth 2 -name "coffer-test-$TAG-*")
}

keep_journal() {
	timeout 20 nsenter -t "$leader_pid" -a journalctl --no-pager -o short-precise -u "coffer*" -u docker >"$D/journal.log" 2>&1
}

end_machine() {
	if [[ -n $leader_pid ]]; then
		keep_journal
		end_processes "$leader_pid" # all of its pid namespace ends with it
	fi
	[[ -z $nspawn_pid ]] || wait "$nspawn_pid" 2>/dev/null
	remove_cgroups
	umount "$M"
	umount "$D/layer"
}

install_build() { # a scenario that installs it otherwise has a function of its own
	DESTDIR=$M cmake --install "$COFFER_BUILD" --prefix /usr >"$D/install.log" 2>&1 || fail "cmake --install"
	systemd-sysusers --root="$M" coffer.conf
	systemctl --root="$M" enable cofferd.service 2>>"$D/install.log"
}

put_together() { # the layer, and this build in it
	mkdir "$M" "$D/layer"
	mount -t tmpfs -o mode=755 tmpfs "$D/layer"
	mkdir "$D/layer"/{upper,work}
	mount -t overlay -o "lowerdir=$BASE,upperdir=$D/layer/upper,workdir=$D/layer/work" overlay "$M"
	install_build
	mkdir "$M/c"
}

start_machine() {
	local hierarchy waiter ended
	for hierarchy in "${machine_hierarchies[@]}"; do
		mkdir "$hierarchy/$MACHINE_CGROUP"
	done
	rm -f "$D/notify" "$D/bound"
	mkfifo "$D/bound"
	"$here/await" ready "$D/notify" >"$D/bound" 2>>"$D/await.log" &
	waiter=$!
	read -r _ <"$D/bound"
	(
		for hierarchy in "${machine_hierarchies[@]}"; do
			echo "$BASHPID" >"$hierarchy/$MACHINE_CGROUP/cgroup.procs"
		done
		# It says that it is ready when all that is started at its boot is. Its own filter knows only the calls of its time.
		NOTIFY_SOCKET=$D/notify exec systemd-nspawn --quiet --directory="$M" --machine="coffer-$TAG" --boot \
			--notify-ready=yes --register=no --keep-unit --console=pipe --bind=/dev/fuse --capability=all \
			--system-call-filter=@known </dev/null >"$D/console.log" 2>&1
	) &
	nspawn_pid=$!
	wait -n -p ended "$waiter" "$nspawn_pid" || fail "the machine did not come up"
	[[ $ended == "$waiter" ]] || fail "the machine ended before it was up"
	leader_pid=$(pgrep -P "$nspawn_pid")
	[[ -n $leader_pid ]] || fail "the machine has no pid 1"
	for hierarchy in "${machine_hierarchies[@]}"; do
		mkdir "$hierarchy/$MACHINE_CGROUP/payload/test"
	done
	# runc makes cgroups in each hierarchy; nspawn gives those of version 1 for reading.
	while read -r point; do
		machine mount -o remount,bind,rw "$point"
	done < <(machine findmnt -rno TARGET -t cgroup)
}

boot() { # [COMMAND...]
	on_exit+=(end_machine)
	put_together
	"${@:-true}"
	start_machine
}

reboot() {
	keep_journal
	machine systemctl poweroff --no-block
	wait "$nspawn_pid" || fail "the machine did not shut down properly"
	nspawn_pid=
	leader_pid=
	remove_cgroups
	start_machine
}

machine() { # COMMAND...
	# shellcheck disable=SC2016
	bash -c 'leader=$1 cgroup=$2
		shift 2
		while [[ $1 != -- ]]; do
			echo $$ >"$1/$cgroup/payload/test/cgroup.procs"
			shift
		done
		exec nsenter -t "$leader" -a "${@:2}"' \
		machine "$leader_pid" "$MACHINE_CGROUP" "${machine_hierarchies[@]}" -- "$@"
}

page() { # NAME
	machine bash -euc "cd /src; $("$here/../lib/doc-block" "$here/../../docs/install.md" "$1")"
}

# ---- the unit ----

KEYFILE=/etc/coffer/key # in the machine

drop_in() { # NAME LINE...: of the service
	mkdir -p "$M/etc/systemd/system/cofferd.service.d"
	printf '%s\n' '[Service]' "${@:2}" >"$M/etc/systemd/system/cofferd.service.d/$1.conf"
}

keyfile_in_clear() { # the store will be unsealed at each start
	install -d -m 700 "$M/etc/coffer"
	head -c 32 /dev/urandom >"$M$KEYFILE"
	chmod 400 "$M$KEYFILE"
	drop_in key "LoadCredential=coffer.key:$KEYFILE"
}

unit_says() { # PROPERTY VALUE
	local value
	value=$(machine systemctl show --value -p "$1" cofferd.service)
	[[ $value == "$2" ]] || fail "the unit's $1 is '$value', not '$2'"
}

broker_pid() { # as the machine numbers it
	machine systemctl show --value -p MainPID cofferd.service
}

worker_pids() { # all that serve, as the machine numbers them
	# shellcheck disable=SC2016
	machine bash -c 'cd /sys/fs/cgroup; [[ -e cgroup.procs ]] || cd unified
		for pid in $(cat system.slice/coffer-spawner.service/cgroup.procs); do
			[[ $(cat "/proc/$pid/comm" 2>/dev/null) != cofferfs ]] || echo "$pid"
		done'
}

signals=0
send_signal() { # SIGNAL PID...: as the machine numbers them, one right after the other
	# shellcheck disable=SC2016
	machine bash -c 'kill -s "$@"' kill "$@"
	signals=$((signals + $# - 1))
}

# ---- what lib.sh does beside the broker, in the machine ----

coffer() {
	machine coffer "$@"
}

runc() {
	if [[ $1 == spec ]]; then # of make_bundle, which works on files
		command runc spec
	else
		machine runc "$@"
	fi
}

bundle() { # NAME [options of make_bundle]
	make_bundle "$M/c/$1" /usr/bin/coffer-hook /run/coffer --cgroup "/coffer-test-$TAG-$1" "${@:2}"
	cp "$COFFER_BUILD/tests/survival/survival-reader" "$M/c/$1/rootfs/bin/"
}

run_container() { # NAME: its first process runs when this returns
	runc run --detach --bundle "/c/$1" "$1" </dev/null >"$D/$1.log" 2>&1 ||
		fail "runc did not start $1: $(cat "$D/$1.log")"
}

await_audit() { # EVENT [JQ-FILTER]
	local found=0
	# shellcheck disable=SC2016
	machine bash -c 'exec 3< <(exec coffer audit --follow --json)
		follower=$!
		timeout 60 jq -n --unbuffered --arg event "$1" "$2" <&3 >/dev/null 2>&1
		found=$?
		kill "$follower"
		exit "$found"' follow "$1" "first(inputs | select(.event == \$event and (${2:-true}))) | halt_error(7)" ||
		found=$?
	[[ $found -eq 7 ]] || fail "no audit record $1 came with: ${2:-true}"
}

# ---- readers ----

# reader_start NAME PATH...: a reader in container NAME, with options of its own in `reader_options`; returns when it has
# had its first look. reader_end NAME adds its sums to `looks`, `failures` and `longest_us`.
reader_options=()
declare -A reader_output
looks=0 failures=0 longest_us=0

reader_start() {
	local name=$1 fd line
	shift
	mkfifo "$D/reader.fifo"
	runc exec "$name" survival-reader --name "$name" --ready --until /tmp/stop "${reader_options[@]}" "$@" \
		>"$D/reader.fifo" 2>>"$D/readers.err" </dev/null &
	exec {fd}<"$D/reader.fifo"
	rm "$D/reader.fifo"
	reader_output[$name]=$fd
	read -r line <&"$fd"
	[[ $line == "$name reading" ]] || fail "the reader in $name said '$line'"
}

reader_end() {
	local name=$1 fd=${reader_output[$1]} sums
	succeeds in_container "$name" touch /tmp/stop
	cat <&"$fd" >"$D/$name.reads"
	exec {fd}<&-
	unset "reader_output[$name]"
	sums=$(grep '^{' "$D/$name.reads") || fail "the reader in $name ended with: $(head -c 2000 "$D/$name.reads")"
	grep -v '^{\|reading$' "$D/$name.reads" >&2 || true
	looks=$((looks + $(jq .reads <<<"$sums")))
	failures=$((failures + $(jq .failures <<<"$sums")))
	local longest
	longest=$(jq .longest_us <<<"$sums")
	[[ $longest -le $longest_us ]] || longest_us=$longest
}

no_reader_failed() { # WHAT: says what was measured
	[[ $failures -eq 0 ]] || fail "$failures of $looks looks failed"
	[[ $looks -gt 0 ]] || fail "nobody read"
	echo "$1: $looks looks, none failed, the longest took $((longest_us / 1000)) ms"
	looks=0 failures=0 longest_us=0
}
