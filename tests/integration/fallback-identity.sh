#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Where the kernel knows no SO_PEERPIDFD, PIDFD_GET_INFO, PIDFD_THREAD and no translation of pids between namespaces
# (Debian 12's), callers are told by /proc: containers get what is theirs, and whoever is none, or moved into
# another's cgroup, is refused.
. "$(dirname "$0")/lib.sh"

# The broker, and what it starts, on the older kernel; everything else on this one.
build=$COFFER_BUILD
COFFER_BUILD=$D/build
mkdir -p "$COFFER_BUILD/broker"
ln -s "$build/client" "$build/fuse" "$COFFER_BUILD/"
printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$build/tests/lib/old-kernel" "$build/broker/cofferd" \
	>"$COFFER_BUILD/broker/cofferd"
chmod +x "$COFFER_BUILD/broker/cofferd"

knows() { # COMMAND...: which of the newer interfaces it sees
	"$@" python3 - <<-'PYTHON'
		import array, errno, fcntl, os, socket
		def tried(call):
		    try:
		        call()
		        return 1
		    except OSError as error:
		        return 0 if error.errno in (errno.ENOPROTOOPT, errno.ENOTTY, errno.EINVAL) else error.errno
		ours, theirs = socket.socketpair()
		pidfd = os.pidfd_open(os.getpid())
		ns = os.open("/proc/self/ns/pid", os.O_RDONLY)
		info = array.array("Q", [7] + [0] * 7)
		print(tried(lambda: ours.getsockopt(socket.SOL_SOCKET, 77, 4)), tried(lambda: os.pidfd_open(os.getpid(), os.O_EXCL)),
		      tried(lambda: fcntl.ioctl(pidfd, 0xC040FF0B, info)), tried(lambda: fcntl.ioctl(ns, 0x8004B706, os.getpid())))
	PYTHON
}
[[ $(knows "$build/tests/lib/old-kernel") == '0 0 0 0' ]] || fail "the older kernel still knows of newer interfaces"

unsealed_broker
[[ $(awk '/^Seccomp_filters/ { print $2 }' "/proc/$broker_pid/status") -ge 1 ]] || fail "the broker runs without the filter"
put db value
put other not-for-it
succeeds coffer grant db --container hooked
succeeds coffer grant db --container asker
succeeds coffer grant other --container victim
container hooked --mount "$RUN/workload:/coffer" --with socat
reads hooked /run/secrets/db value
lacks hooked /run/secrets/other
put db newer
reads hooked /run/secrets/db newer
audit_has open '.container == "hooked" and .name == "db" and .version == 2 and .result == "granted"'

ask() { # CONTAINER METHOD PARAMETERS
	in_container "$1" sh -c 'printf "%s\0" "$1" | socat -t 10 - UNIX-CONNECT:/coffer/sock | tr "\0" "\n"' \
		ask "{\"method\":\"io.coffer.workload.$2\",\"parameters\":$3}"
}
# Registered by its hook; by nobody, so that the caller's first process has to be found; from a namespace below.
bundle asker --tmpfs /run --mount "$RUN/workload:/coffer" --with socat --with unshare \
	--jq '.process.capabilities |= with_entries(.value += ["CAP_SYS_ADMIN"])'
run_container asker
for who in hooked asker; do
	succeeds ask $who Identity '{}'
	says_json ".parameters | .container == \"$who\" and .runtime == \"runc\""
	succeeds ask $who Get '{"path":"db"}'
	says_json '.parameters | .version == 2 and (.value | @base64d) == "newer"'
	audit_has api.get ".container == \"$who\" and .name == \"db\" and .result == \"granted\""
	succeeds ask $who Get '{"path":"other"}'
	says_json '.error == "io.coffer.workload.NotFound"'
done
succeeds ask asker Attach '{}'
says_json '.parameters.folder == "/run/secrets"'
reads asker /run/secrets/db newer
succeeds in_container asker unshare --pid --fork --mount-proc sh -c \
	'printf "%s\0" "{\"method\":\"io.coffer.workload.Identity\"}" | socat -t 10 - UNIX-CONNECT:/coffer/sock | tr "\0" "\n"'
says_json '.parameters.container == "asker"'

# Processes of the host: in no cgroup's, closed without a byte; in one of their own, nothing is theirs; in the
# victim's, closed. All are recorded.
message='{"method":"io.coffer.workload.Get","parameters":{"path":"other"}}'
roots=("$CGROUP2")
for hierarchy in /sys/fs/cgroup/*/; do
	[[ ! -e $hierarchy/cgroup.procs ]] || roots+=("$hierarchy")
done
connect() { # CGROUP...: from a process that moves there first
	bash -c 'for cgroup in "${@:3}"; do echo $$ >"$cgroup/cgroup.procs"; done
		printf "%s\0" "$2" | socat -t 10 - "UNIX-CONNECT:$1/sock" | tr "\0" "\n" || true' \
		connect "$RUN/workload" "$message" "$@"
}
container victim
reads victim /run/secrets/other not-for-it
succeeds connect "${roots[@]}"
says ''
await_audit workload.refused '.uid == 0 and (.reason | test("root cgroup"))'
mkdir "$CGROUP2/coffer-test-$TAG-stray"
on_exit+=("rmdir $CGROUP2/coffer-test-$TAG-stray")
succeeds connect "$CGROUP2/coffer-test-$TAG-stray"
says_json '.error == "io.coffer.workload.NotFound"'
audit_has register '.container == null and .weak'
succeeds connect "$CGROUP2/coffer-test-$TAG-victim"
says ''
await_audit workload.refused '.reason | test("not in its namespaces")'
coffer audit --json >"$D/audit"
# A container that can write the host's cgroups does the same.
bundle mover --mount "$RUN/workload:/coffer" --mount "$CGROUP2:/cgroups" --with socat
run_container mover
succeeds in_container mover sh -c "echo 0 >/cgroups/coffer-test-$TAG-victim/cgroup.procs
	printf '%s\\0' '$message' | socat -t 10 - UNIX-CONNECT:/coffer/sock || true"
says ''
# A line of its own, or, within a second of the first, a count.
first=$(jq -s 'map(select(.event == "workload.refused" and (.reason | test("not in its namespaces"))))[0].pid' "$D/audit")
await_audit workload.refused "(.count != null or .pid != $first) and (.reason | test(\"not in its namespaces\"))"

# A mount in a pid namespace that is shared: who cannot be told from a neighbour is refused, not served.
run cat "/proc/$(container_pid hooked)/root/run/secrets/db"
[[ $status -ne 0 ]] || fail "the host's root reads through /proc/PID/root"
await_audit open '.container == "hooked" and .pid == 0 and .result == "EACCES"'

# Callers that end before they are looked at; operators come as ever.
kill -STOP "$broker_pid"
python3 - "$RUN/workload/sock" <<'PYTHON'
import os, socket, sys
child = os.fork()
if child == 0:
    s = socket.socket(socket.AF_UNIX)
    s.connect(sys.argv[1])
    os._exit(0)
os.waitpid(child, 0)
PYTHON
kill -CONT "$broker_pid"
await_audit workload.refused '.reason | test("has ended|cannot be seen")'
succeeds coffer get db
says newer
succeeds coffer audit verify
