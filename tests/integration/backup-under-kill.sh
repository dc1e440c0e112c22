#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Full disks, and a broker that is killed at each call by which it writes, in a backup and in a restore: there is no
# file or a whole one, no store or the whole one, and the next attempt works.
. "$(dirname "$0")/lib.sh"
command -v strace >/dev/null || fail "strace is missing: see tests/install-packages"

# kill_at CALL N COMMAND...: the broker is killed when it makes that call for the N-th time from now on; sets struck.
kill_at() {
	local call=$1 nth=$2 tracer
	shift 2
	rm -f "$D/tracing"
	mkfifo "$D/tracing"
	strace -f -p "$broker_pid" -o "$D/strace" -e "trace=$call" -e "inject=$call:signal=SIGKILL:when=$nth" \
		2>"$D/tracing" &
	tracer=$!
	grep -qm1 attached <"$D/tracing" || fail "strace does not follow the broker"
	run "$@"
	# An answer that came all the same came before the broker was struck, if it was.
	[[ $status -ne 0 ]] || kill -INT "$tracer" 2>/dev/null || true
	wait "$tracer" || true
	struck=false
	if grep -q 'killed by SIGKILL' "$D/strace"; then
		struck=true
		wait "$broker_pid" 2>/dev/null || true
		broker_pid=
		end_cgroup
	elif [[ $status -ne 0 ]]; then
		fail "the broker lives, and '$*' ended with status $status: $(cat "$D/err")"
	fi
}

no_leftovers() {
	! find "$STATE" -maxdepth 1 -name 'backup.part' | grep . || fail "$(ls "$STATE") is left"
	! find "$D" -maxdepth 1 -name '.coffer-*' | grep . || fail "a half backup is left"
}

unsealed_broker
head -c 300000 /dev/urandom >"$D/value"
coffer put big --file "$D/value" >/dev/null

echo "-- killed in a backup"
strikes=0
for call in pwrite64 unlinkat fdatasync sendmsg; do
	for nth in 1 2 3 5 8; do
		rm -f "$D/b.tar"
		kill_at $call $nth coffer backup "$D/b.tar"
		if $struck; then
			strikes=$((strikes + 1))
			[[ $status -eq 0 || ! -e $D/b.tar ]] || fail "killed at $call $nth, and there is a backup"
			start_broker
			coffer unseal --keyfile "$D/key"
			[[ $status -eq 0 ]] || succeeds coffer backup "$D/b.tar"
		fi
		no_leftovers
		succeeds coffer backup verify "$D/b.tar" --keyfile "$D/key"
	done
done
[[ $strikes -ge 8 ]] || fail "the broker was killed $strikes times only"

echo "-- a file system that cannot rename without replacing, and one that cannot link either"
without() { # CALL...: a backup by a client that they fail; strace leaves no room for a search for leaks
	ASAN_OPTIONS=$DAEMON_ASAN strace -o /dev/null "${@/#/-einject=}" "$COFFER_BUILD/client/coffer" backup "$D/b.tar"
}
rm -f "$D/b.tar"
succeeds without renameat2:error=EINVAL
succeeds coffer backup verify "$D/b.tar" --keyfile "$D/key"
rm "$D/b.tar"
fails 1 'cannot put .* in its place: File exists' without renameat2:error=EINVAL linkat:error=EEXIST:when=2
fails 1 'use --force' without renameat2:error=EINVAL linkat:error=EPERM:when=2
no_leftovers
succeeds coffer backup "$D/good.tar"
mkdir "$D/small"
mount -t tmpfs -o size=200k tmpfs "$D/small"
fails 1 'space' coffer backup "$D/small/b.tar"
[[ -z $(ls -A "$D/small") ]] || fail "left on the full disk: $(ls -A "$D/small")"
stop_broker
end_cgroup
mv "$STATE" "$D/state.kept"
mkdir "$STATE"
mount -t tmpfs -o size=1m,mode=700 tmpfs "$STATE"
cp -a "$D/state.kept/." "$STATE/"
start_broker
coffer unseal --keyfile "$D/key"
dd if=/dev/zero of="$STATE/filler" bs=4k >/dev/null 2>&1 || true
fails 1 'full' coffer backup "$D/full.tar"
[[ ! -e $D/full.tar ]] || fail "there is a backup all the same"
no_leftovers
rm "$STATE/filler"
succeeds coffer backup "$D/full.tar"
succeeds coffer backup verify "$D/full.tar" --keyfile "$D/key"
stop_broker
end_cgroup
rm "$STATE"/store.db*
start_broker
dd if=/dev/zero of="$STATE/filler" bs=4k >/dev/null 2>&1 || true
fails 1 'space' coffer restore "$D/full.tar"
rm "$STATE/filler"
[[ $(coffer status --json | jq -r .state) == uninitialised ]] || fail "half a store"
succeeds coffer restore "$D/full.tar"
coffer unseal --keyfile "$D/key" --accept-rollback
coffer get big | cmp - "$D/value" || fail "another value came back"
stop_broker
end_cgroup
umount "$STATE" "$D/small"

echo "-- killed in a restore"
broker_options=()
strikes=0
halves=0
for call in unlinkat fsync renameat pwrite64 fdatasync sendmsg; do
	for nth in 1 2 3 4; do
		find "$STATE" -mindepth 1 -delete
		start_broker
		kill_at $call $nth coffer restore "$D/good.tar"
		if $struck; then
			strikes=$((strikes + 1))
			[[ ! -e $STATE/restore.part ]] || halves=$((halves + 1))
			start_broker
			[[ ! -e $STATE/restore.part ]] || fail "killed at $call $nth, half a store is left for ever"
			state=$(coffer status --json | jq -r .state)
			case $state in
			uninitialised) succeeds coffer restore "$D/good.tar" --keyfile "$D/key" ;;
			sealed) ;;
			*) fail "killed at $call $nth it came back $state" ;;
			esac
		fi
		coffer unseal --keyfile "$D/key"
		coffer get big | cmp - "$D/value" || fail "another value came back"
		succeeds coffer audit verify
		stop_broker
		end_cgroup
	done
done
[[ $strikes -ge 10 ]] || fail "the broker was killed $strikes times only"
[[ $halves -ge 3 ]] || fail "half a store was left $halves times only"
