#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Row 48 of docs/threats.md: a container with a file system of its own at /run that never answers, so that the way to
# the mount folder cannot be
# walked: attaching gives up in time and says so, changes do not wait for it again, and others are served meanwhile.
. "$(dirname "$0")/lib.sh"

unsealed_broker
put db first
succeeds coffer grant db --label reads=db
container other --tmpfs /run --annotation reads=db
container web --tmpfs /run --annotation reads=db
succeeds coffer detach web

# A FUSE file system at a container's /run whose root can be opened, and nothing in it.
read -r -d '' hanging <<'PYTHON' || true
import ctypes, os, struct, sys

libc = ctypes.CDLL(None, use_errno=True)
fuse = os.open("/dev/fuse", os.O_RDWR)
mnt = os.open(f"/proc/{sys.argv[1]}/ns/mnt", os.O_RDONLY)
child = os.fork()
if child == 0:
    options = f"fd={fuse},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
    if libc.setns(mnt, 0x20000) < 0 or libc.mount(b"hangs", b"/run", b"fuse", 0, options) < 0:
        os._exit(1)
    os._exit(0)
if os.waitpid(child, 0)[1]:
    sys.exit("cannot mount")
INIT, GETATTR = 26, 3
held = 0
while True:
    request = os.read(fuse, 1 << 17)
    opcode, unique = struct.unpack_from("<IQ", request, 4)
    if opcode == INIT:
        body = struct.pack("<IIIIHHIIHHI7I", 7, 31, 0, 0, 0, 0, 4096, 1, 0, 0, 0, *[0] * 7)
        os.write(fuse, struct.pack("<IiQ", 16 + len(body), 0, unique) + body)
        print("mounted", flush=True)
    elif opcode == GETATTR:
        attr = struct.pack("<QIIQQQQQQIIIIIIIIII", 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0o40755, 2, 0, 0, 0, 4096, 0)
        os.write(fuse, struct.pack("<IiQ", 16 + len(attr), 0, unique) + attr)
    else:
        held += 1
        print(f"held {held}", flush=True)
PYTHON
exec {said}< <(exec python3 -c "$hanging" "$(container_pid web)" 2>&1)
hanger=$!
on_exit+=("end_processes $hanger")
read -r -t 60 -u "$said" line
[[ $line == mounted ]] || fail "the file system said '$line'"

run coffer attach web
[[ $status -eq 1 ]] || fail "attach ended with status $status"
grep -q 'from being walked' "$D/err" || fail "attach said: $(cat "$D/err")"
read -r -t 60 -u "$said" line
[[ $line == 'held 1' ]] || fail "nobody walked into it: '$line'"

# Its attacher is held up there for as long as it likes. Changes do not wait for it, nor does an operator.
succeeds coffer put db --file <(printf second)
grep -q web "$D/err" || fail "put does not say that web does not show it: '$(cat "$D/err")'"
reads other /run/secrets/db second
fails 1 'from being walked' coffer attach web
succeeds coffer ps --json
says_json '.attachments[] | select(.container == "web") | .state == "attaching"'

# It lets go: the mount comes at the next call.
end_processes $hanger
succeeds nsenter -t "$(container_pid web)" -m umount /run
until run coffer attach web && [[ $status -eq 0 ]]; do
	grep -qE 'from being walked|too long' "$D/err" || fail "attach said: $(cat "$D/err")"
done
reads web /run/secrets/db second
succeeds coffer audit verify
