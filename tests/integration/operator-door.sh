#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The operator socket is for uid 0 and group coffer; a process in a registered container that got at it is refused
# though it is root.
. "$(dirname "$0")/lib.sh"

unsealed_broker
put db value
container inside --mount "$RUN:/broker" --with socat
run in_container inside sh -c 'printf "%s\0" "{\"method\":\"io.coffer.operator.Get\",\"parameters\":{\"name\":\"db\"}}" |
	socat -t 10 - UNIX-CONNECT:/broker/operator.sock | tr "\0" "\n"'
! grep -q "$(printf value | base64)" "$D/out" || fail "a container read a value at the operator socket"
[[ ! -s $D/out ]] || jq -e '.error' "$D/out" >/dev/null || fail "a container was answered: $(cat "$D/out")"
audit_has denied '.reason | test("container|namespace|cgroup")'

run setpriv --reuid 65533 --regid 65533 --clear-groups \
	socat -t 10 - UNIX-CONNECT:"$RUN/operator.sock"
[[ $status -ne 0 ]] || fail "any user may connect to the operator socket"

# Garbage and half messages end their connection, and nobody else's.
for input in 'head -c 100000 /dev/urandom' 'head -c 5000000 /dev/zero | tr "\0" a' \
	'printf "{}\0"' 'printf "[]\0"' 'printf "{\"method\":5}\0"' 'printf "{\"method\":\"io.coffer.operator.Nothing\"}\0"' \
	'printf "{\"method\":\"io.coffer.operator.Get\",\"parameters\":[]}\0"' \
	'printf "{\"method\":\"io.coffer.operator.Get\",\"parameters\":{\"name\":\"db\",\"extra\":1}}\0"' \
	'printf "{\"method\":\"io.coffer.operator.Get\""'; do
	bash -c "$input" 2>/dev/null | socat -t 2 - UNIX-CONNECT:"$RUN/operator.sock" >"$D/out" 2>"$D/err" || true
	! grep -q "$(printf value | base64)" "$D/out" || fail "'$input' was answered with a value"
	succeeds coffer get db
	says value
done
printf '{"method":"org.varlink.service.GetInfo"}\0' |
	socat -t 10 - UNIX-CONNECT:"$RUN/operator.sock" | tr '\0' '\n' >"$D/out"
says_json '.parameters.interfaces | index("io.coffer.operator")'
printf '%s\0' '{"method":"org.varlink.service.GetInterfaceDescription","parameters":{"interface":"io.coffer.operator"}}' |
	socat -t 10 - UNIX-CONNECT:"$RUN/operator.sock" | tr '\0' '\n' >"$D/out"
jq -j .parameters.description "$D/out" | diff - "$here/../../include/coffer/io.coffer.operator.varlink" ||
	fail "the served interface is not the file's"
