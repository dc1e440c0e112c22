#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Containers of a real Docker end as it ends them: stopped, killed, removed, restarted, their shim killed. Its daemons
# killed and started again leave them running, and their secrets with them. In the end nothing of ours is left.
. "$(dirname "$0")/../integration/lib.sh"
# shellcheck source=ends-lib.sh
. "$(dirname "$0")/ends-lib.sh"
# shellcheck source=../engines/docker-lib.sh
. "$(dirname "$0")/../engines/docker-lib.sh"

start_containerd
start_docker
bundle_root "$D/image"
install -m 755 "$COFFER_BUILD/tests/attack/attacker" "$D/image/attacker"
tar -C "$D/image" -c . | docker import - coffer-test:1 >/dev/null

# ---- the broker ----

write_config ". + {runc_roots: [\"$E/exec/runtime-runc/moby\"]}"
broker_options=(--keyfile "$D/key")
unsealed_broker
put db value
counts >"$D/counts"
began=$(cat "$D/counts")

declare -A id
start() { # NAME pid|socket: with its secret, granted by its id, brought in by the operator or asked for by itself
	id[$1]=$(docker run --detach --name "$1" --network none --cap-add SYS_ADMIN --security-opt apparmor=unconfined \
		--security-opt seccomp=unconfined -v "$RUN/workload:/coffer:ro" coffer-test:1 sleep infinity)
	succeeds coffer grant db --container "${id[$1]}"
	attach "$@"
}
attach() { # NAME pid|socket
	if [[ $2 == pid ]]; then
		succeeds coffer attach --pid "$(pid_of "$1")"
	else
		succeeds docker exec "$1" /attacker ask /coffer/sock Attach '{}'
		grep -q /run/secrets "$D/out" || fail "Attach said: $(cat "$D/out")"
	fi
	sees "$1" "$value"
}
sees() { # NAME VALUE: by its kernel's namespaces, whatever its engine is about
	succeeds nsenter -t "${pid[$1]:-$(pid_of "$1")}" -m -p cat /run/secrets/db
	says "$2"
}

# ---- ends ----

value=value
declare -A pid=()
for how in pid socket; do
	for way in stop kill rm restart unmount; do
		start "$way-$how" $how
	done
done
for how in pid socket; do
	succeeds docker stop --time 0 stop-$how
	succeeds docker kill kill-$how
	succeeds docker rm --force rm-$how
	succeeds docker restart --time 0 restart-$how # another one, and nothing is mounted in it by itself
	run docker exec restart-$how cat /run/secrets/db
	[[ $status -ne 0 ]] || fail "a container started anew has a secret that nobody attached"
	attach restart-$how $how
	succeeds docker exec unmount-$how umount /run/secrets
	succeeds docker rm --force unmount-$how
done
for how in pid socket; do
	succeeds docker rm --force restart-$how
done
counts_become "$began"

# ---- the engine itself ----

for way in daemon containerd shim; do
	start $way pid
	pid[$way]=$(pid_of $way)
done
stop_daemon "$docker_pid"
sees daemon value # no engine is there
put db newer
sees daemon newer
stop_daemon "$containerd_pid"
sees containerd newer
start_containerd
start_docker
put db newest
for way in daemon containerd shim; do
	sees $way newest
	[[ $(pid_of $way) -eq ${pid[$way]} ]] || fail "the engine has another process for $way"
done
kill -9 "$(pgrep -f "containerd-shim.* -id ${id[shim]} ")"
succeeds docker rm --force daemon
succeeds docker rm --force containerd
run docker rm --force shim
kill -9 "${pid[shim]}" 2>/dev/null || true # where its engine has lost it with the shim
counts_become "$began"
succeeds coffer ps --json
says_json '.attachments == []'
succeeds coffer audit verify
echo "$SECONDS s"
