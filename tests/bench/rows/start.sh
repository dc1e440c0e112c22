#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What the hook adds to the start of a container with ten secrets, beside the same container without it; and a client's
# way as a process, beside /bin/true.
. "$(dirname "${BASH_SOURCE[0]}")/../bench-lib.sh"

unsealed_broker
for ((i = 1; i <= 10; i++)); do put_random "app/s$i" 64; done
succeeds coffer grant app/ --label bench=start
# shellcheck disable=SC2153 # HOOK and RUN are lib.sh's
make_bundle "$D/ours.bundle" "$HOOK" "$RUN" --hook --annotation bench=start --cgroup "/coffer-test-$TAG-start"
make_bundle "$D/floor.bundle" "$HOOK" "$RUN" --annotation bench=start --cgroup "/coffer-test-$TAG-start"

start() { # KIND: milliseconds until runc says that it runs
	local begin end
	begin=$EPOCHREALTIME
	runc run --detach --bundle "$D/$1.bundle" bench </dev/null >"$D/start.log" 2>&1 || fail "$(cat "$D/start.log")"
	end=$EPOCHREALTIME
	runc delete --force bench
	awk -v kind="$1" -v begin="$begin" -v end="$end" 'BEGIN { printf "{\"%s\": %.3f}\n", kind, (end - begin) * 1000 }'
}
for ((round = 0; round < $(scaled 100); round++)); do
	start ours
	start floor
done >"$D/starts"
result hook-start 'ten secrets' ms 'runc without a hook' <"$D/starts"

# A process's whole way, by a parent that does nothing else.
cat >"$D/spawn.py" <<'SCRIPT'
import os, sys, time
rounds, environment = int(sys.argv[1]), dict(os.environ)
programs = {"ours": [sys.argv[2], "get", "app/s1"], "floor": ["/bin/true"]}
null = os.open("/dev/null", os.O_WRONLY)
for _ in range(rounds):
    for kind, words in programs.items():
        begin = time.monotonic_ns()
        pid = os.posix_spawn(words[0], words, environment, file_actions=[(os.POSIX_SPAWN_DUP2, null, 1)])
        status = os.waitpid(pid, 0)[1]
        took = time.monotonic_ns() - begin
        if status:
            sys.exit(f"{words} ended with {status}")
        print(f'{{"{kind}": {took / 1e6:.4f}}}')
SCRIPT
python3 "$D/spawn.py" "$(scaled 500)" "$COFFER_BUILD/client/coffer" >"$D/spawned"
result client 'coffer get' ms /bin/true <"$D/spawned"
