#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A stored and served value is found, plain, base64 or hex, in no file of the broker's, no argv, no environment, no
# core file, no log, and in memory only where it is locked and kept out of core files; in the attachers' not at all.
. "$(dirname "$0")/lib.sh"

pattern=$(cat /proc/sys/kernel/core_pattern)
on_exit+=('echo "$pattern" >/proc/sys/kernel/core_pattern')
mkdir "$D/cores"
chmod 1777 "$D/cores"
echo "$D/cores/core.%p" >/proc/sys/kernel/core_pattern
ulimit -c unlimited

canary=$(head -c 30 /dev/urandom | base64 | tr '+/' 'xy')
{
	printf '%s' "$canary" | od -An -v -tx1 | tr -d ' \n'; echo
	printf '%s' "$canary" | base64 -w0 | head -c 36 | od -An -v -tx1 | tr -d ' \n'; echo
	printf '%s' "$canary" | od -An -v -tx1 | tr -d ' \n' | od -An -v -tx1 | tr -d ' \n'; echo
} >"$D/needles"
texts=("$canary" "$(printf '%s' "$canary" | base64 -w0 | head -c 36)"
	"$(printf '%s' "$canary" | od -An -v -tx1 | tr -d ' \n')")

search=("$here/search-memory")
! grep -q __asan_init "$COFFER_BUILD/fuse/cofferfs" || search+=(--unlocked)

holds() { # FILE...: whether one of them holds the canary in one of its forms
	local text
	for text in "${texts[@]}"; do
		grep -qaF -- "$text" "$@" 2>/dev/null && return 0
	done
	return 1
}

broker_options=(--keyfile "$D/key")
unsealed_broker
printf '%s' "$canary" | coffer put canary >/dev/null
succeeds coffer grant canary --container web
bundle web --hook --mount "$RUN/workload:/coffer" --with socat
run_container web
in_container web cat /run/secrets/canary | cmp - <(printf '%s' "$canary") || fail "the container reads another value"
in_container web sh -c 'printf "%s\0" "{\"method\":\"io.coffer.workload.Get\",\"parameters\":{\"path\":\"canary\"}}" |
	socat -t 10 - UNIX-CONNECT:/coffer/sock' | grep -qa "$(printf '%s' "$canary" | base64 -w0 | head -c 36)" ||
	fail "Get did not answer with the value"
coffer get canary | cmp - <(printf '%s' "$canary")
succeeds coffer seal
succeeds coffer unseal --keyfile "$D/key"
succeeds coffer audit --json
cp "$D/out" "$D/audit.out"
succeeds coffer ps --json
succeeds coffer explain web --json

# Files. (The search finds what is there: a file with the canary in it.)
printf 'x%sx' "${texts[1]}" >"$D/control"
holds "$D/control" || fail "the search does not find the canary where it is"
mapfile -d '' -t files < <(find "$STATE" "$RUN" "$D/web.bundle" -type f -print0)
for file in "${files[@]}" "$LOG" "$D/audit.out" "$D/out" "$D/web.log"; do
	! holds "$file" || fail "$file holds the canary"
done

"${search[@]}" $$ "$D/needles" | grep -q ^bare || fail "the search does not find it in this shell's own memory"

# Processes: broker, spawner, worker, all that it started.
mapfile -t pids <"$BROKER_CGROUP/cgroup.procs"
[[ ${#pids[@]} -ge 3 ]] || fail "broker, spawner and worker should run, there are ${#pids[@]} processes"
worker=$(coffer ps --json | jq '.attachments[] | select(.container == "web") | .worker')
for pid in "${pids[@]}"; do
	name=$(tr '\0' ' ' <"/proc/$pid/cmdline")
	! holds "/proc/$pid/cmdline" "/proc/$pid/environ" || fail "argv or environment of $name holds the canary"
	"${search[@]}" "$pid" "$D/needles" >"$D/found"
	! grep -q ^bare "$D/found" || fail "the memory of $name ($pid) holds the canary in: $(cat "$D/found")"
	case $pid in
	"$worker") grep -q ^guarded "$D/found" || fail "the worker serves a value that the search does not find" ;;
	"$broker_pid") ;;
	*) [[ ! -s $D/found ]] || fail "the key-less half ($name) holds the canary: $(cat "$D/found")" ;;
	esac
done
! holds "/proc/$(container_pid web)/environ" || fail "the container's environment holds the canary"

# Core files. (The control: a shell that has it in memory leaves a core that has it.)
bash -c "value='$canary'; kill -ABRT \$\$" >/dev/null 2>&1 || true
mapfile -t cores < <(find "$D/cores" -type f)
[[ ${#cores[@]} -ge 1 ]] && holds "${cores[@]}" || fail "the control left no core file with the canary"
rm "${cores[@]}"
for pid in "${pids[@]}"; do
	[[ $pid == "$broker_pid" ]] || kill -ABRT "$pid" 2>/dev/null || true
done
stop_broker ABRT || true
"$here/await" end "${pids[@]}"
mapfile -t cores < <(find "$D/cores" -type f)
[[ ${#cores[@]} -eq 0 ]] || ! holds "${cores[@]}" || fail "a core file holds the canary: ${cores[*]}"
