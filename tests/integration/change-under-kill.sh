#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A worker killed while a change is under way: no read fails, every reader has an old or a new value whole, and the
# change is made by its successor. Also while a reader in the container keeps the attacher of the change waiting.
. "$(dirname "$0")/lib.sh"

unsealed_broker
put db value-0
succeeds coffer grant db --container web
container web --tmpfs /tmp
reads web /run/secrets/db value-0

worker_of() { # CONTAINER
	coffer ps --json | jq -r ".attachments[] | select(.container == \"$1\") | .worker // empty"
}

# A process of web that opens and reads again and again until told to stop; it says what failed.
mkfifo "$D/reads"
runc exec web sh -c '
	n=0
	while [ ! -e /tmp/stop ]; do
		case $(cat /run/secrets/db 2>&1) in
		value-*[0-9]) n=$((n + 1)) ;;
		*) echo FAILED; cat /run/secrets/db 2>&1 ;;
		esac
		[ $n -ne 3 ] || echo reading
	done
	echo "$n reads"' >"$D/reads" 2>&1 </dev/null &
exec {reads}<"$D/reads"
read -r line <&"$reads"
[[ $line == reading ]] || fail "the process that reads on and on said '$line'"

# Killed at another moment of the change in each round.
for ((round = 1; round <= 10; round++)); do
	worker=$(worker_of web)
	before=$(coffer audit --json | jq -s 'last.seq')
	{
		for ((turn = 0; turn < round * 2000; turn++)); do :; done
		kill -9 "$worker"
	} &
	killer=$!
	succeeds coffer put db --file <(printf 'value-%d' "$round")
	shown
	reads web /run/secrets/db "value-$round"
	wait $killer || fail "the worker to be killed was gone already"
	await_audit worker.ended ".container == \"web\" and .seq > $before"
done
succeeds in_container web touch /tmp/stop
cat <&"$reads" >"$D/read.log"
exec {reads}<&-
! grep -q FAILED "$D/read.log" || fail "a read failed: $(head -c 2000 "$D/read.log")"
grep -qE '^[0-9]+ reads$' "$D/read.log" || fail "the process that reads on and on ended: $(cat "$D/read.log")"

# A process of the container that holds its folder's lock: it lists the folder into memory that it never provides.
read -r -d '' holder <<'PYTHON' || true
import ctypes, fcntl, mmap, os, struct, sys

CLONE_NEWPID, CLONE_NEWNS = 0x20000000, 0x20000
SYS_userfaultfd, SYS_getdents64 = 323, 217
UFFDIO_API, UFFDIO_REGISTER, REGISTER_MODE_MISSING = 0xC018AA3F, 0xC020AA00, 1
libc = ctypes.CDLL(None, use_errno=True)
pid = sys.argv[1]
pid_ns, mnt_ns = (os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY) for name in ("pid", "mnt"))
libc.setns(pid_ns, CLONE_NEWPID)
child = os.fork()
if child:
    os.waitpid(child, 0)
    sys.exit()
libc.prctl(1, 9, 0, 0, 0)  # ends with its parent
if libc.setns(mnt_ns, CLONE_NEWNS) < 0:
    sys.exit("cannot enter the container")
area = mmap.mmap(-1, 8192)
address = ctypes.addressof(ctypes.c_char.from_buffer(area))
fault = libc.syscall(SYS_userfaultfd, 0)
fcntl.ioctl(fault, UFFDIO_API, struct.pack("QQQ", 0xAA, 0, 0))
fcntl.ioctl(fault, UFFDIO_REGISTER, struct.pack("QQQQ", address, 8192, REGISTER_MODE_MISSING, 0))
folder = os.open("/run/secrets", os.O_RDONLY | os.O_DIRECTORY)
print("holding", flush=True)
libc.syscall(SYS_getdents64, folder, ctypes.c_void_p(address), 4096)
print("got through", flush=True)
PYTHON
hold_folder() { # its process, by whose end it lets go, is $held
	exec {holding}< <(exec python3 -c "$holder" "$(container_pid web)" 2>&1)
	held=$!
	read -r line <&"$holding"
	[[ $line == holding ]] || fail "the process that holds the folder said '$line'"
}

hold_folder
succeeds coffer put db --file <(printf waited-for) # returns with an attacher waiting in the container
grep -q web "$D/err" || fail "put does not say that web does not show it: '$(cat "$D/err")'"
worker=$(worker_of web)
kill -9 "$worker"
succeeds in_container web stat -f /run/secrets # what names a file waits for the folder, too
[[ $(worker_of web) != "$worker" ]] || fail "the killed worker has no successor"
kill -9 "$held"
await_audit show '.container == "web" and .name == "db" and .version == 12'
reads web /run/secrets/db waited-for

# The same, and then the container ends.
hold_folder
succeeds coffer put db --file <(printf never-seen)
grep -q web "$D/err" || fail "put does not say that web does not show it: '$(cat "$D/err")'"
before=$(coffer audit --json | jq -s 'last.seq')
kill -9 "$(worker_of web)"
await_audit worker.ended ".container == \"web\" and .seq > $before"
kill -9 "$(container_pid web)"
await_audit end '.container == "web"'
kill -9 "$held" 2>/dev/null || true
succeeds coffer status
succeeds coffer audit verify
