#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A container with nothing but the bind-mounted workload folder, which no hook registered, asks who it is, what it
# may read, for a value and for its mount; what is not granted and what is not there look alike.
. "$(dirname "$0")/lib.sh"

unsealed_broker
put db value
put other not-for-it
succeeds coffer grant db --container asker
bundle asker --tmpfs /run --mount "$RUN/workload:/coffer" --with socat
run_container asker

# ask METHOD PARAMETERS: what a ten-line client does: one message, a NUL, the answer up to its NUL.
ask() {
	in_container asker sh -c 'printf "%s\0" "$1" | socat -t 10 - UNIX-CONNECT:/coffer/sock | tr "\0" "\n"' \
		ask "{\"method\":\"io.coffer.workload.$1\",\"parameters\":$2}"
}
succeeds ask Identity '{}'
says_json '.parameters | .container == "asker" and .runtime == "runc" and .mounted == false and .folder == "/run/secrets"'
succeeds ask List '{}'
says_json '[.parameters.secrets[] | .path, .name, .version] == ["db", "db", 1]'
succeeds ask Get '{"path":"db"}'
says_json '.parameters | .version == 1 and (.value | @base64d) == "value"'
audit_has api.get '.container == "asker" and .name == "db" and .version == 1'
succeeds ask Get '{"path":"other"}'
cp "$D/out" "$D/ungranted"
succeeds ask Get '{"path":"absen"}'
says_json '.error == "io.coffer.workload.NotFound"'
[[ $(sed s/other/absen/ "$D/ungranted") == "$(cat "$D/out")" ]] || fail "ungranted and absent differ"

succeeds ask Attach '{}'
says_json '.parameters.folder == "/run/secrets"'
reads asker /run/secrets/db value
put db newer
reads asker /run/secrets/db newer
succeeds ask Identity '{}'
says_json '.parameters.mounted'
succeeds ask Get '{"path":"db"}'
says_json '(.parameters.value | @base64d) == "newer"'

# Introspection, a method that is not there, and garbage.
succeeds in_container asker sh -c 'printf "%s\0" "{\"method\":\"org.varlink.service.GetInfo\"}" |
	socat -t 10 - UNIX-CONNECT:/coffer/sock | tr "\0" "\n"'
says_json '.parameters.interfaces | index("io.coffer.workload")'
succeeds ask Nothing '{}'
says_json '.error | startswith("org.varlink.service.MethodNotFound")'
run in_container asker sh -c 'head -c 100000 /dev/urandom | socat -t 10 - UNIX-CONNECT:/coffer/sock'
succeeds ask Get '{"path":"db"}'

# A process of the host is in no container: closed without a byte.
printf '{"method":"io.coffer.workload.List","parameters":{}}\0' |
	socat -t 10 - UNIX-CONNECT:"$RUN/workload/sock" >"$D/out" 2>"$D/err" || true
[[ ! -s $D/out ]] || ! grep -q newer "$D/out" || fail "a host process got $(cat "$D/out")"
