#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Rows 47 and 48 of docs/threats.md: a program that is run in a container for a rotation. The container makes it the very
# program that goes in (by a script's or an ELF file's interpreter), exchanges it all the time, and, with every right
# over the host's users that it can be given, holds what comes in and tries to write to its program file. The host's
# programs stay as they are, and what comes in has no right that the container's own processes lack.
. "$(dirname "$0")/duel.sh"

duel
container victim
programs=("$COFFER_BUILD/broker/cofferd" "$COFFER_BUILD/broker/coffer-enter" "$COFFER_BUILD/fuse/cofferfs"
	"$COFFER_BUILD/client/coffer")
before=$(sha256sum "${programs[@]}")

rotate() { # CONTAINER TIMES: returns when nothing is pending
	local n
	for ((n = 0; n < $2; n++)); do
		put own-secret "$OWN_VALUE"
		while coffer ps --json | jq -e ".attachments[] | select(.container == \"$1\") |
			any(.reactions[]; .pending)" >/dev/null; do :; done
	done
}

image_program() { # NAME PATH: from standard input
	install -m 755 /dev/stdin "$D/$1.bundle/rootfs$2"
}

# The program that goes in is run again as the interpreter, or as the loader, of one of the container's.
journal=$D/shared/overwrite
armed_bundle writer --tmpfs /tmp --writable --args '/attacker overwrite /shared/overwrite' \
	--jq "$(capable CAP_SYS_PTRACE CAP_SYS_ADMIN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER)"
image_program writer /script <<<'#!/proc/self/exe'
image_program writer /plain <<'PLAIN'
#!/bin/sh
{ cat /proc/self/status; unshare -U true && echo "a user namespace of its own"; } >/tmp/status 2>&1
cmp /proc/self/cgroup /proc/1/cgroup && echo "same cgroups" >>/tmp/status
PLAIN
python3 - /bin/true "$D/writer.bundle/rootfs/loaded" <<'PYTHON'
import os, re, sys
elf = open(sys.argv[1], "rb").read()
loader = re.search(rb"/lib[^\0]*ld-[^\0]*\0", elf).group()
open(sys.argv[2], "wb").write(elf.replace(loader, b"/proc/self/exe".ljust(len(loader), b"\0"), 1))
os.chmod(sys.argv[2], 0o755)
PYTHON
run_container writer
for program in script loaded; do
	grant=$(coffer grant own-secret --container writer --as $program --on-rotate exec:/$program)
	rotate writer 15
	audit_has reaction.failed ".container == \"writer\" and .on_rotate == \"exec:/$program\""
	audit_lacks reaction ".container == \"writer\" and .on_rotate == \"exec:/$program\""
	succeeds coffer revoke "$grant"
done

# Exchanged for ever, it is one or the other.
succeeds coffer grant own-secret --container writer --on-rotate exec:/script
in_container writer /attacker swap /script /plain >"$D/swapper.log" 2>&1 &
swapper=$!
rotate writer 30
kill "$swapper"
wait "$swapper" 2>/dev/null || true

# Nor does a mount bring in more.
for _ in {1..15}; do
	run coffer detach writer
	run coffer attach writer
done

# What was seen of it from inside.
entered=$(grep -c 'Name:.coffer-enter' "$journal" || true)
echo "a container with every right saw coffer-enter $entered times before it was the container's program," \
	"and took hold of $(grep -c '^holds /memfd:coffer-enter' "$journal" || true) copies of it"
! grep -E '^(OPENED|WROTE)' "$journal" || fail "a program could be opened to be written: $(grep -E '^(OPENED|WROTE)' "$journal")"
grep 'Name:.coffer-create' "$journal" | grep -vE 'NoNewPrivs:.1 Seccomp:.2' && fail "what makes a mount is not confined"
grep -q '^write EPERM /memfd:coffer-enter' "$journal" || fail "nothing tried to write to the copy: the attack was not made"
none='0000000000000000'
while read -r line; do
	[[ $line =~ CapInh:.$none\ CapPrm:.$none\ CapEff:.$none\ CapBnd:.$none\ NoNewPrivs:.1\ Seccomp:.2 ]] ||
		fail "coffer-enter inside the container: $line"
done < <(grep 'Name:.coffer-enter' "$journal" || true)
while read -r _ target; do
	case $target in
	'/memfd:coffer-enter (deleted)' | /bin/busybox | /attacker | /loaded) ;;
	/ | /memfd:runc* | */runc) ;; # runc's own, for runc exec
	*) fail "a program that came into the container: $target" ;;
	esac
done < <(grep '^holds' "$journal" || true)
[[ $(sha256sum "${programs[@]}") == "$before" ]] || fail "the host's programs were changed"
cmp "/proc/$(pgrep -P "$broker_pid")/fd/4" "$COFFER_BUILD/broker/coffer-enter" || fail "the copy in memory was changed"

# What the program itself finds.
succeeds in_container writer cat /tmp/status
for line in 'CapPrm:\s0+$' 'CapEff:\s0+$' 'CapBnd:\s0+$' 'NoNewPrivs:\s1$' 'Seccomp:\s2$' 'Groups:\s*$' 'same cgroups'; do
	got "^$line"
done
never 'user namespace of its own'

# Memory and descriptors of what comes in: nothing of the broker's, nothing of the victim's.
key=$(head -c 32 "$D/key")
armed_bundle watcher --jq "$(capable CAP_SYS_PTRACE CAP_SYS_ADMIN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH)" \
	--jq ".process.args = [\"/attacker\", \"watch\", \"/shared/journal\", $(jq -n --arg v "$VICTIM_VALUE" '$v'),
		$(jq -n --arg v "$key" '$v')]"
succeeds coffer grant own-secret --container watcher --on-rotate exec:/bin/true
run_container watcher
rotate watcher 30
journal=$D/shared/journal
echo "another saw $(grep -c '^seen' "$journal" || true) processes come in," \
	"and held $(grep -c 'ptrace SUCCEEDED' "$journal" || true) of them"
! grep -q CANARY "$journal" || fail "in memory that came into the container: $(grep CANARY "$journal")"
while read -r _ target; do
	case $target in
	/dev/null | pipe:*) ;;
	*) fail "a descriptor that came into the container: $target" ;;
	esac
done < <(grep '^fd/' "$journal" || true)
all_is_well
