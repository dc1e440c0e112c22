# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The driver of the integration scenarios: sourced first by each. A scenario gets a folder of its own ($D), a
# broker of its own and containers of its own, and leaves nothing behind, also when it fails.
#
# COFFER_BUILD is the build folder whose programs are tested. The programs print as they always do: what a call
# of run printed is in $D/out and $D/err. Every wait is for an event.
#
# A scenario ends at its first broken claim, with the claim, where it stands, and the broker's log.
set -euo pipefail
shopt -s inherit_errexit

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${COFFER_BUILD:?names the build folder whose programs are tested}"
# shellcheck source=bundle.sh
. "$here/bundle.sh"

[[ $(id -u) -eq 0 ]] || { echo "the integration tests start containers: run them as root" >&2; exit 1; }
for need in runc jq socat python3 busybox inotifywait; do
	command -v "$need" >/dev/null || { echo "$need is missing: see tests/install-packages" >&2; exit 1; }
done
for need in broker/cofferd broker/coffer-enter fuse/cofferfs client/coffer client/coffer-hook; do
	[[ -x $COFFER_BUILD/$need ]] || { echo "$COFFER_BUILD/$need is not built" >&2; exit 1; }
done

D=$(mktemp -d /tmp/coffer-test.XXXXXX)
chmod 711 "$D" # a container's mapped root has to reach its own root
TAG=${D##*.}
RUN=$D/run
STATE=$D/state
LOG=$D/cofferd.log
HOOK=$COFFER_BUILD/client/coffer-hook
CGROUP2=/sys/fs/cgroup
[[ -e $CGROUP2/cgroup.procs ]] || CGROUP2=/sys/fs/cgroup/unified
BROKER_CGROUP=$CGROUP2/coffer-test-$TAG
broker_pid=
broker_options=() # further options of cofferd
on_exit=()        # commands that the end of the scenario runs, last first

# Leaks are looked for in the clients; daemons and what they fork enter namespaces where the search cannot work.
export UBSAN_OPTIONS=print_stacktrace=1
DAEMON_ASAN=detect_leaks=0:abort_on_error=1:handle_abort=0
CLIENT_ASAN=detect_leaks=1:abort_on_error=0:exitcode=99
export ASAN_OPTIONS=$CLIENT_ASAN
export COFFER_RUNTIME_DIR=$RUN

fail() { # SENTENCE...
	local frame=0
	echo "FAILED: $*" >&2
	while caller $frame >&2; do frame=$((frame + 1)); done
	exit 1
}

# ---- the end ----

end_processes() { # PID...
	local pid
	for pid in "$@"; do
		kill -9 "$pid" 2>/dev/null || true
	done
	"$here/await" end "$@"
}

# Whatever the broker started, it started in this cgroup; more can come while the first are being ended.
end_cgroup() {
	local pids
	[[ -d $BROKER_CGROUP ]] || return 0
	while mapfile -t pids <"$BROKER_CGROUP/cgroup.procs" && [[ ${#pids[@]} -gt 0 ]]; do
		end_processes "${pids[@]}"
	done
	[[ -z $broker_pid ]] || wait "$broker_pid" 2>/dev/null || true
	rmdir "$BROKER_CGROUP"
}

show_logs() {
	local log
	for log in "$D"/*.log "$D"/out "$D"/err; do
		[[ -s $log ]] || continue
		echo "---- ${log##*/} (its last 60 lines)"
		tail -n 60 "$log"
	done >&2
	if [[ -s $STATE/audit/log.jsonl ]]; then
		echo "---- audit log (its last 20 lines)" >&2
		tail -n 20 "$STATE/audit/log.jsonl" >&2
	fi
}

clean_up() {
	local status=$? step id point
	trap - EXIT ERR
	set +e
	for ((step = ${#on_exit[@]} - 1; step >= 0; step--)); do
		eval "${on_exit[step]}"
	done
	for id in "$D"/runc/*/; do
		[[ -d $id ]] && runc --root "$D/runc" delete -f "$(basename "$id")" >>"$D/end.log" 2>&1
	done
	end_cgroup 2>>"$D/end.log"
	if grep -lE 'AddressSanitizer|LeakSanitizer|:[0-9]+: runtime error:' "$D"/*.log "$D/err" >/dev/null 2>&1; then
		echo "FAILED: a sanitizer spoke up" >&2
		status=1
	fi
	[[ $status -eq 0 ]] || show_logs
	while read -r point; do
		umount -l "$point"
	done < <(findmnt -rno TARGET | grep "^$D/" | sort -r)
	rm -rf --one-file-system "$D"
	exit "$status"
}
trap clean_up EXIT
trap 'fail "a command of the scenario ended with status $?"' ERR
set -o errtrace

# ---- the broker ----

write_config() { # [JQ-FILTER]: on top of what every scenario needs
	jq -n --arg worker "$COFFER_BUILD/fuse/cofferfs" --arg root "$D/runc" \
		"{worker_path: \$worker, worker_user: \"nobody\", runc_roots: [\$root]} | ${1:-.}" >"$D/config.json"
}
write_config

start_broker() { # [options of cofferd]: returns when it says that it is ready
	local waiter ended
	mkdir -p "$STATE" "$BROKER_CGROUP"
	rm -f "$D/notify" "$D/bound"
	mkfifo "$D/bound"
	"$here/await" ready "$D/notify" >"$D/bound" 2>>"$D/await.log" &
	waiter=$!
	read -r _ <"$D/bound"
	(
		echo "$BASHPID" >"$BROKER_CGROUP/cgroup.procs"
		export NOTIFY_SOCKET=$D/notify ASAN_OPTIONS=$DAEMON_ASAN
		exec "$COFFER_BUILD/broker/cofferd" --state-dir "$STATE" --runtime-dir "$RUN" \
			--config "$D/config.json" --foreground "${broker_options[@]}" "$@" \
			</dev/null >>"$LOG" 2>&1
	) &
	broker_pid=$!
	wait -n -p ended "$waiter" "$broker_pid" || fail "the broker did not become ready"
	[[ $ended == "$waiter" ]] || { kill "$waiter"; fail "the broker ended before it was ready"; }
}

stop_broker() { # [SIGNAL]: returns when it has ended, and sets broker_status
	kill -"${1:-TERM}" "$broker_pid"
	broker_status=0
	wait "$broker_pid" || broker_status=$?
	broker_pid=
}

# What most scenarios begin with: a broker with an empty store, unsealed by $D/key.
unsealed_broker() {
	start_broker
	coffer init --keyfile "$D/key" >/dev/null
}

# ---- commands and what they say ----

coffer() {
	"$COFFER_BUILD/client/coffer" "$@"
}

run() { # COMMAND...: sets status, fills $D/out and $D/err
	status=0
	"$@" >"$D/out" 2>"$D/err" </dev/null || status=$?
}

succeeds() { # COMMAND...
	run "$@"
	[[ $status -eq 0 ]] || fail "'$*' ended with status $status: $(head -c 2000 "$D/err")"
}

fails() { # STATUS PATTERN COMMAND...: one line on stderr that matches the pattern (extended, any case)
	local want=$1 pattern=$2
	shift 2
	run "$@"
	[[ $status -eq $want ]] || fail "'$*' ended with status $status, not $want: $(head -c 2000 "$D/err")"
	grep -qiE -- "$pattern" "$D/err" || fail "'$*' said '$(cat "$D/err")', nothing like '$pattern'"
	[[ $want -ne 1 || $(wc -l <"$D/err") -eq 1 ]] || fail "'$*' said more than one line: $(cat "$D/err")"
}

says() { # TEXT: what the last command printed, without trailing newlines
	[[ $(cat "$D/out") == "$1" ]] || fail "printed '$(head -c 2000 "$D/out")' instead of '$1'"
}

says_json() { # JQ-FILTER: holds for what the last command printed
	jq -e "$1" "$D/out" >/dev/null || fail "$1 does not hold for: $(head -c 4000 "$D/out")"
}

put() { # NAME VALUE
	printf '%s' "$2" | coffer put "$1" >/dev/null
}

# ---- the audit log ----

audit_has() { # EVENT [JQ-FILTER]: a line with that event for which the filter holds
	coffer audit --json >"$D/audit"
	jq -se --arg event "$1" "any(.[]; .event == \$event and (${2:-true}))" "$D/audit" >/dev/null ||
		fail "no audit record $1 with: ${2:-true}"
}

audit_lacks() { # EVENT [JQ-FILTER]
	coffer audit --json >"$D/audit"
	jq -se --arg event "$1" "any(.[]; .event == \$event and (${2:-true})) | not" "$D/audit" >/dev/null ||
		fail "there is an audit record $1 with: ${2:-true}"
}

await_audit() { # EVENT [JQ-FILTER]: returns when such a line is there
	local follower found=0
	exec {follower}< <(exec "$COFFER_BUILD/client/coffer" audit --follow --json 2>>"$D/follow.log")
	local follower_pid=$!
	timeout 60 jq -n --unbuffered --arg event "$1" \
		"first(inputs | select(.event == \$event and (${2:-true}))) | halt_error(7)" \
		<&"$follower" >/dev/null 2>&1 || found=$?
	exec {follower}<&-
	kill "$follower_pid" 2>/dev/null || true
	[[ $found -eq 7 ]] || fail "no audit record $1 came with: ${2:-true}"
}

# shown [OUT ERR]: what put printed there (NAME VERSION lines) is what containers show. On a machine that is busy enough
# put may have run into its five seconds and have named who lags: then when these show it.
shown() {
	local out=${1:-$D/out} err=${2:-$D/err} lagging container name version
	[[ -s $err ]] || return 0
	lagging=$(sed -n 's/.*not yet shown in \(.*\); see: .*/\1/p' "$err")
	[[ -n $lagging ]] || ! grep -v 'the value \(is empty\|ends with a newline\)' "$err" >"$err.other" ||
		fail "put said: $(cat "$err")"
	for container in ${lagging//, / }; do
		while read -r name version; do
			await_audit show ".container == \"${container#*/}\" and .name == \"$name\" and .version == $version"
		done <"$out"
	done
}

# ---- containers ----

bundle() { # NAME [options of make_bundle]
	make_bundle "$D/$1.bundle" "$HOOK" "$RUN" --cgroup "/coffer-test-$TAG-$1" "${@:2}"
}

runc() {
	command runc --root "$D/runc" "$@"
}

run_container() { # NAME: its first process runs when this returns
	runc run --detach --bundle "$D/$1.bundle" "$1" </dev/null >"$D/$1.log" 2>&1 ||
		fail "runc did not start $1: $(cat "$D/$1.log")"
}

container() { # NAME [options of make_bundle]: with the hook, started
	bundle "$1" --hook "${@:2}"
	run_container "$1"
}

delete_container() { # NAME
	runc delete --force "$1" >>"$D/$1.log" 2>&1
}

container_pid() { # NAME
	runc state "$1" | jq .pid
}

in_container() { # NAME COMMAND...
	runc exec "$@"
}

reads() { # NAME PATH VALUE: the container finds that value there
	succeeds in_container "$1" cat "$2"
	says "$3"
}

lacks() { # NAME PATH: there is no such file for the container
	run in_container "$1" cat "$2"
	[[ $status -ne 0 ]] || fail "$1 can read $2"
	grep -q 'No such file' "$D/err" || fail "$1 and $2: $(cat "$D/err")"
}
