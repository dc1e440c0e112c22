#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Rows 7, 9, 10 and 16 of docs/threats.md: what an attacker makes below itself is the attacker; a container in the
# host's pid namespace is weak; remounting from a user namespace gains nothing.
. "$(dirname "$0")/duel.sh"

duel
container victim

# 7 and 16: new user, mount and pid namespaces.
armed attacker --jq "$(capable CAP_SETFCAP)"
attack attacker nested /coffer/sock /run/secrets/own-secret /run/secrets
got "^file $OWN_VALUE$"
got '^identity .*"container":"attacker"'
for how in remount-bind remount remount-of-bind; do
	got "^$how E"
done
attack attacker nested /coffer/sock /run/secrets/victim-secret /run/secrets
got '^file ENOENT$'
audit_has open '.container == "attacker" and .name == "own-secret" and .result == "granted"'
run in_container attacker sh -c 'grep " /run/secrets " /proc/self/mountinfo'
got ' ro,nosuid,nodev,noexec'

# 9: with the host's pid namespace it is weak, and the grant does not say --allow-weak.
put weak-secret "$OWN_VALUE"
succeeds coffer grant weak-secret --container weak
armed weak --jq '.linux.namespaces |= map(select(.type != "pid"))'
audit_has register '.container == "weak" and .weak'
lacks weak /run/secrets/weak-secret
attack weak ask /coffer/sock Get '{"path":"weak-secret"}'
got 'NotFound'
audit_has api.get '.container == "weak" and .result == "ENOENT"'
succeeds coffer grant weak-secret --container weak --allow-weak
reads weak /run/secrets/weak-secret "$OWN_VALUE"
# From there the victim's mount is a path away: outside of its pid namespace, and not in its cgroup.
run in_container weak cat "/proc/$(container_pid victim)/root/run/secrets/victim-secret"
[[ $status -ne 0 ]] || fail "a weak container reads a neighbour's mount"
# Sharing the host's cgroup namespace alone, as containers here do, is not weak.
[[ $(readlink "/proc/$(container_pid attacker)/ns/cgroup") == "$(readlink /proc/self/ns/cgroup)" ]] ||
	fail "runc made a cgroup namespace"
audit_lacks register '.container == "attacker" and .weak'

# 10: a runc of its own.
runc=$(type -P runc)
bundle inner --mount /coffer:/coffer --mount /run/secrets:/run/secrets --cgroup "/coffer-test-$TAG-attacker-outer/inner" \
	--jq '.mounts |= map(select(.type != "cgroup"))'
put outer-secret "outer's value"
succeeds coffer grant outer-secret --container outer
armed_bundle outer --with "$runc" --cgroup "/coffer-test-$TAG-attacker-outer" --writable --tmpfs /tmp --tmpfs /run/runc \
	--jq "$(capable CAP_SYS_ADMIN CAP_NET_ADMIN CAP_SYS_PTRACE CAP_SYS_CHROOT CAP_SETPCAP CAP_SETUID CAP_SETGID \
		CAP_MKNOD CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER)" \
	--jq '.linux.maskedPaths = [] | .linux.readonlyPaths = []' \
	--jq '.mounts |= map(select(.destination != "/sys")) | .mounts += [{destination: "/sys", source: "/sys",
		type: "bind", options: ["rbind", "rw"]}] | del(.linux.resources.devices)'
run_container outer
install -m 755 "$TOOLS/attacker" "$D/inner.bundle/rootfs/attacker"
cp -a "$D/inner.bundle" "$D/outer.bundle/rootfs/inner"
on_exit+=("find $CGROUP2/coffer-test-$TAG-attacker-outer -mindepth 1 -depth -type d -exec rmdir {} + 2>/dev/null")
inner_runc() {
	in_container outer "$runc" --root /run/runc "$@"
}
start_inner() {
	succeeds in_container outer sh -c "$runc --root /run/runc run --detach --bundle /inner inner >/tmp/log 2>&1 </dev/null ||
		{ cat /tmp/log >&2; false; }"
}
inner() {
	inner_runc exec inner "$@"
}
start_inner
succeeds inner /attacker ask /coffer/sock Identity '{}'
got '"container":"outer"'
succeeds inner cat /run/secrets/outer-secret
says "outer's value"
succeeds inner /attacker ask /coffer/sock Get '{"path":"victim-secret"}'
got 'NotFound'

# Registered itself, by a runtime hook on the host, it is itself. (Below another's mount nothing can be put, since that
# answers nobody from outside: so without it.)
inner_runc delete -f inner
jq '.mounts |= map(select(.destination != "/run/secrets"))' "$D/inner.bundle/config.json" \
	>"$D/outer.bundle/rootfs/inner/config.json"
start_inner
put inner-secret "inner's value"
succeeds coffer grant inner-secret --container inner
pid=$({ grep -l "^0::/coffer-test-$TAG-attacker-outer/inner\$" /proc/[0-9]*/cgroup 2>/dev/null || true; } | head -n 1 | cut -d/ -f3)
jq -n --argjson pid "$pid" --arg bundle "$D/inner.bundle" \
	'{ociVersion: "1.0.2", id: "inner", status: "created", pid: $pid, bundle: $bundle}' >"$D/state.json"
"$HOOK" --runtime-dir "$RUN" <"$D/state.json" || fail "the inner container is not registered"
succeeds inner /attacker ask /coffer/sock Identity '{}'
got '"container":"inner"'
succeeds inner /attacker ask /coffer/sock Get '{"path":"inner-secret"}'
got "$(printf "inner's value" | base64)"
attack outer ask /coffer/sock Get '{"path":"inner-secret"}'
got 'NotFound'
all_is_well
