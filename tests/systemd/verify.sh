#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What systemd says of the units as they are installed: nothing to complain of, and an exposure of at most 3.0 for the broker,
# which holds the keys. What remains of it is listed here, so that whoever opens the unit further sees it; the other half's
# is what entering containers takes. No machine is booted.
. "$(dirname "$0")/../integration/lib.sh"

BROKER_MOST=30  # in tenths
SPAWNER_MOST=45 # kept where it is
# Root's files and other users' processes are what it works with, in this mount and user namespace; its sockets are unix
# sockets; the capabilities are those of docs/configuration.md; RestrictSUIDSGID= takes openat2 away; open_by_handle_at and
# capset are calls of @privileged; /dev/tpmrm0 and the clock are what systemd allows by itself for the sealed key and
# ProtectClock=.
REMAINS="CapabilityBoundingSet=~CAP_(DAC_*|FOWNER|IPC_OWNER)
CapabilityBoundingSet=~CAP_IPC_LOCK
CapabilityBoundingSet=~CAP_KILL
CapabilityBoundingSet=~CAP_SYS_(NICE|RESOURCE)
CapabilityBoundingSet=~CAP_SYS_PTRACE
Delegate=
DeviceAllow=
PrivateUsers=
RestrictAddressFamilies=~AF_UNIX
RestrictSUIDSGID=
RootDirectory=/RootImage=
SystemCallFilter=~@privileged
User=/DynamicUser="

command -v systemd-analyze >/dev/null || fail "systemd-analyze is missing: see tests/install-packages"
DESTDIR=$D/dest cmake --install "$COFFER_BUILD" --prefix /usr >"$D/install.log" 2>&1 || fail "cmake --install"
units=$(dirname "$(find "$D/dest" -name cofferd.service)")
cd "$units"

# The programs that the units name have to be there for it.
sed -i "s#^ExecStart=/usr#ExecStart=$D/dest/usr#" ./*.service
SYSTEMD_UNIT_PATH=$units: succeeds systemd-analyze verify --man=no ./*.service ./*.socket
[[ ! -s $D/out && ! -s $D/err ]] || fail "systemd-analyze verify: $(cat "$D/out" "$D/err")"

exposure() { # UNIT MOST
	succeeds systemd-analyze security --offline=true --no-pager --threshold="$2" "./$1"
	tail -n 1 "$D/out"
}
exposure cofferd.service "$BROKER_MOST"
exposure coffer-spawner.service "$SPAWNER_MOST"

# A threshold that nothing holds shows that one is looked at.
run systemd-analyze security --offline=true --no-pager --threshold=1 ./cofferd.service
[[ $status -ne 0 ]] || fail "systemd-analyze passes an exposure of at most 0.1"

succeeds systemd-analyze security --offline=true --no-pager --json=short ./cofferd.service
remains=$(jq -r '.[] | select(.exposure != null and .exposure != "" and (.exposure | tonumber) > 0) | .name' "$D/out" | LC_ALL=C sort)
[[ $remains == "$REMAINS" ]] || fail "what the unit leaves open is not what is listed here: $(diff <(echo "$REMAINS") <(echo "$remains"))"
