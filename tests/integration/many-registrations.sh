#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# More containers than a broker looks at side by side are all registered, and all known to the next broker, as the same
# instances; but for those that have ended meanwhile.
. "$(dirname "$0")/lib.sh"

count=280
broker_options=(--keyfile "$D/key")
unsealed_broker
put db value
succeeds coffer grant db --label reads=db # none of them

# Containers as cheap as they come: a process in a cgroup, a mount and a pid namespace of its own. They end, and their
# cgroups go, when this is told a line, or its input ends.
read -r -d '' crowd <<'PYTHON' || true
import ctypes, os, signal, sys

CLONE_NEWNS, CLONE_NEWPID, PR_SET_CHILD_SUBREAPER = 0x20000, 0x20000000, 36
libc = ctypes.CDLL(None, use_errno=True)
prefix, count = sys.argv[1], int(sys.argv[2])
libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

def start(cgroup):
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        with open(cgroup + "/cgroup.procs", "w") as procs:
            procs.write("0")
        if libc.unshare(CLONE_NEWNS | CLONE_NEWPID) < 0:
            os._exit(1)
        init = os.fork()
        if init == 0:
            os.closerange(0, 64)
            signal.pause()
        os.write(tell, str(init).encode())
        os._exit(0)
    os.close(tell)
    os.waitpid(child, 0)
    init = int(os.read(told, 32))
    os.close(told)
    return init

inits = []
for i in range(count):
    os.mkdir(f"{prefix}{i}")
    inits.append(start(f"{prefix}{i}"))
print(*inits, flush=True)
sys.stdin.readline()
for init in inits:
    os.kill(init, signal.SIGKILL)
for init in inits:
    os.waitpid(init, 0)
for i in range(count):
    os.rmdir(f"{prefix}{i}")
PYTHON
mkfifo "$D/hold"
exec {started}< <(exec python3 -c "$crowd" "$CGROUP2/coffer-test-$TAG-many" "$count" <"$D/hold" 2>&1)
starter=$!
exec {hold}>"$D/hold"
on_exit+=("echo >&$hold; $here/await end $starter")
read -r -a inits <&"$started"
[[ ${#inits[@]} -eq $count ]] || fail "the containers were not started: ${inits[*]}"

registered() { # HOW-OFTEN: returns when so many registrations are in the log
	exec {follower}< <(exec "$COFFER_BUILD/client/coffer" audit --follow --json 2>>"$D/follow.log")
	local follower_pid=$! found=0
	timeout 60 jq -n --unbuffered "first(foreach (inputs | select(.event == \"register\")) as \$r (0; . + 1;
		select(. == $1))) | halt_error(7)" <&"$follower" >/dev/null 2>&1 || found=$?
	exec {follower}<&-
	kill "$follower_pid" 2>/dev/null || true
	[[ $found -eq 7 ]] || fail "not $1 registrations: $(coffer audit --json | grep -c '"register"')"
}
instances() {
	coffer ps --json | jq -r '.attachments[] | "\(.container) \(.instance)"' | sort
}

make_bundle "$D/many.bundle" "$HOOK" "$RUN"
for ((i = 0; i < count; i++)); do
	printf '{"ociVersion":"1.0.2","id":"many%d","status":"created","pid":%d,"bundle":"%s"}' "$i" "${inits[i]}" \
		"$D/many.bundle" | "$HOOK" --runtime-dir "$RUN" 2>"$D/err" || fail "many$i: $(cat "$D/err")"
done
instances >"$D/before"
[[ $(wc -l <"$D/before") -eq $count ]] || fail "$(wc -l <"$D/before") of $count containers are registered"

# Killed: all are there again.
stop_broker KILL
start_broker
registered $((2 * count))
instances | diff "$D/before" - >"$D/err" || fail "after a restart it is others: $(head -n 20 "$D/err")"
[[ $(find "$RUN/containers" -name '*.json' | wc -l) -eq $count ]] || fail "registrations on disk are others"

# Some end while there is no broker; nobody else is lost with them.
stop_broker TERM
ended=(0 1 100 255 256 279)
for i in "${ended[@]}"; do
	kill -9 "${inits[i]}"
done
start_broker
registered $((3 * count - ${#ended[@]}))
grep -vE "^many($(IFS='|'; echo "${ended[*]}")) " "$D/before" >"$D/still"
instances | diff "$D/still" - >"$D/err" || fail "after the second restart it is others: $(head -n 20 "$D/err")"
