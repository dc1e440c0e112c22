#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Revocation, and removal, take the name away and make reads of descriptors opened before fail with EACCES.
. "$(dirname "$0")/lib.sh"

unsealed_broker

# Opens, reads and maps the file; told to go on, reads that descriptor again, from its first byte, and looks at the mapping.
cat >"$D/reader.py" <<'PYTHON'
import mmap, os, signal, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
mapped = mmap.mmap(fd, 0, prot=mmap.PROT_READ)
print("opened", len(os.pread(fd, 1 << 20, 0)), len(bytes(mapped)), flush=True)
sys.stdin.readline()
for at in (0, 200000):
    try:
        print("read", len(os.pread(fd, 4096, at)), flush=True)
    except OSError as e:
        print("read", e.strerror, flush=True)
child = os.fork()
if child == 0:
    mapped[0]
    os._exit(0)
status = os.waitpid(child, 0)[1]
print("mapped", signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else "still there", flush=True)
PYTHON
python=/usr/bin/python3
library=$("$python" -c 'import os; print(os.path.dirname(os.__file__))')

start_reader() { # CONTAINER PATH
	rm -f "$D/go" "$D/said"
	mkfifo "$D/go" "$D/said"
	runc exec "$1" "$python" /reader.py "$2" <"$D/go" >"$D/said" 2>&1 &
	reader=$!
	exec {go}>"$D/go" {said}<"$D/said"
	read -r line <&"$said"
	[[ $line == 'opened 300000 300000' ]] || fail "the reader said '$line'"
}
finish_reader() {
	echo >&"$go"
	cat <&"$said" >"$D/reader"
	exec {go}>&- {said}<&-
	wait "$reader"
}

large=$(head -c 300000 /dev/zero | tr '\0' x)
for way in revoke rm; do
	put "by-$way" "$large"
	succeeds coffer grant "by-$way" --container web
	grant=$(cat "$D/out")
	[[ $grant =~ ^[0-9a-f]{16}$ ]] || fail "grant printed '$grant'"
	[[ $way != revoke ]] || container web --with "$python" --mount "$library:$library" --mount "$D/reader.py:/reader.py"
	start_reader web "/run/secrets/by-$way"
	case $way in
	revoke) succeeds coffer revoke "$grant" ;;
	rm) succeeds coffer rm "by-$way" ;;
	esac
	lacks web "/run/secrets/by-$way"
	finish_reader
	[[ $(cat "$D/reader") == $'read Permission denied\nread Permission denied\nmapped SIGBUS' ]] ||
		fail "after $way the reader said: $(head -c 300 "$D/reader")"
	audit_has withdraw ".container == \"web\" and .name == \"by-$way\""
	audit_has read ".container == \"web\" and .name == \"by-$way\" and .result == \"EACCES\""
done
succeeds in_container web ls /run/secrets
says ''
