#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every way to a secret under the units' sandboxing: the hook, also into a user namespace; a live attach; the workload socket; a
# weak container; a service of systemd; a program run inside for a rotation; an operator who is not root. And the sandboxing
# is there: the broker has neither children nor what entering a container takes, and what may enter knows no key.
. "$(dirname "$0")/systemd-lib.sh"

boot keyfile_in_clear
succeeds coffer init --keyfile "$KEYFILE"
# The hierarchies of version 1 that nspawn gave for reading are writable now: a service sees that if it starts anew.
machine systemctl restart cofferd.service
put db secret-value

succeeds coffer grant db --container hooked
container hooked --tmpfs /tmp
reads hooked /run/secrets/db secret-value
succeeds coffer grant db --container mapped
container mapped --userns --tmpfs /tmp
reads mapped /run/secrets/db secret-value

# Made without a hook: attached by an operator, or by itself at its socket.
succeeds coffer grant db --container live
bundle live --tmpfs /run
run_container live
succeeds coffer attach live
reads live /run/secrets/db secret-value
for name in asker mapped-asker; do
	options=(--tmpfs /run --mount /run/coffer/workload:/coffer --with socat)
	[[ $name == asker ]] || options+=(--userns)
	succeeds coffer grant db --container $name
	bundle $name "${options[@]}"
	run_container $name
	for method in Get Attach; do
		succeeds in_container $name sh -c 'printf "%s\0" "$1" | socat -t 10 - UNIX-CONNECT:/coffer/sock | tr "\0" "\n"' \
			ask "{\"method\":\"io.coffer.workload.$method\",\"parameters\":$([[ $method == Get ]] && echo '{"path":"db"}' || echo '{}')}"
		says_json '.parameters and (.error == null)'
		[[ -s $D/out ]] || fail "$name got no answer to $method"
	done
	reads $name /run/secrets/db secret-value
done

succeeds coffer grant db --container weak --allow-weak
container weak --tmpfs /tmp --jq '.linux.namespaces |= map(select(.type != "pid"))'
reads weak /run/secrets/db secret-value

# A service with a mount namespace of its own.
succeeds coffer grant db --unit plain.service
mkfifo "$M/c/go" "$M/c/said"
machine systemd-run --quiet --unit=plain.service --property=MountFlags=slave \
	/bin/bash -c 'mkdir -p /run/secrets; echo up >/c/said; read -r _ </c/go; { cat /run/secrets/db; echo; } >/c/said 2>&1'
read -r line <"$M/c/said"
[[ $line == up ]] || fail "the service said '$line'"
succeeds coffer attach plain.service
exec {said}<>"$M/c/said"
echo >"$M/c/go"
read -r -t 60 line <&"$said" || true
exec {said}>&-
[[ $line == secret-value ]] || fail "the service reads '$line'"

# A program in a container, which joins all of its namespaces and cgroups.
for name in tool mapped-tool; do
	options=(--hook --tmpfs /tmp)
	[[ $name == tool ]] || options+=(--userns)
	succeeds coffer grant db --container $name --on-rotate exec:/bin/reload
	bundle $name "${options[@]}"
	printf '#!/bin/sh\n{ cat /run/secrets/db; echo; cat /proc/self/cgroup; } >/tmp/done\n' >"$M/c/$name/rootfs/bin/reload"
	chmod 755 "$M/c/$name/rootfs/bin/reload"
	run_container $name
done
put db newer-value
for name in tool mapped-tool; do
	await_audit reaction ".container == \"$name\""
	audit_has reaction ".container == \"$name\" and .status == 0"
	succeeds in_container $name cat /tmp/done
	[[ $(head -n 1 "$D/out") == newer-value ]] || fail "the program in $name read: $(cat "$D/out")"
	run grep coffer-spawner "$D/out"
	[[ $status -ne 0 ]] || fail "the program in $name ran in our own cgroup: $(cat "$D/out")"
done
for name in hooked mapped live asker mapped-asker weak; do
	reads $name /run/secrets/db newer-value
done

# An operator who is not root.
group=$(machine getent group coffer | cut -d: -f3)
succeeds machine setpriv --reuid 65533 --regid 65533 --groups "$group" coffer get db
says newer-value
run machine setpriv --reuid 65533 --regid 65533 --clear-groups coffer get db
[[ $status -ne 0 ]] || fail "somebody who is nobody reads: $(cat "$D/out")"

# What each process may still do.
of() { # UNIT FIELD: of /proc/PID/status of its main process
	local pid
	pid=$(machine systemctl show --value -p MainPID "$1")
	machine sed -n "s/^$2:[[:space:]]*//p" "/proc/$pid/status"
}
# CAP_DAC_READ_SEARCH, CAP_KILL, CAP_IPC_LOCK, CAP_SYS_PTRACE; CAP_SYS_RESOURCE (bit 24) where the host has it to give.
for field in CapBnd CapPrm CapEff; do
	[[ $(($(printf '%d' "0x$(of cofferd.service $field)") & ~0x1000000)) -eq $((0x84024)) ]] ||
		fail "the broker's $field is $(of cofferd.service $field)"
done
for unit in cofferd.service coffer-spawner.service; do
	[[ $(of $unit Seccomp) == 2 && $(of $unit NoNewPrivs) == 1 ]] || fail "$unit runs without its filter"
done
broker=$(broker_pid)
succeeds machine cat "/proc/$broker/task/$broker/children"
says ""
# Without a key: its environment has no credential, and its memory was never the broker's.
succeeds machine bash -c "tr '\0' '\n' </proc/$(machine systemctl show --value -p MainPID coffer-spawner.service)/environ"
run grep CREDENTIALS "$D/out"
[[ $status -ne 0 ]] || fail "the half that enters containers is told of a credential"
# Its door is root's.
run machine setpriv --reuid 65533 --regid "$group" --clear-groups test -w /run/coffer/spawner.sock
[[ $status -ne 0 ]] || fail "others can connect to spawner.sock"
