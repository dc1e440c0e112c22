#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Grants with --on-rotate: when a version replaces another, and not before nor otherwise, the container's first process
# gets a signal, or a program is run inside; once for each change, again if it changed meanwhile, and also if the
# broker is killed in between or the store is sealed. What fails is shown and recorded. It is root's to ask for.
. "$(dirname "$0")/lib.sh"

broker_options=(--keyfile "$D/key")
unsealed_broker

program() { # NAME PATH: from standard input, into the image
	install -m 755 /dev/stdin "$D/$1.bundle/rootfs$2"
}

reaction() { # CONTAINER JQ-FILTER: of the first reaction that ps lists
	coffer ps --json | jq -r ".attachments[] | select(.container == \"$1\") | .reactions[0] | $2"
}

reactions() { # CONTAINER: how many are recorded, done or failed
	coffer audit --json | jq -s "map(select((.event == \"reaction\" or .event == \"reaction.failed\")
		and .container == \"$1\")) | length"
}

await_idle() { # CONTAINER
	local try
	for try in {1..3000}; do
		[[ $(reaction "$1" .pending) == true ]] || return 0
	done
	fail "the reaction of $1 is pending for ever ($try)"
}

# ---- a signal: the first process reads on SIGHUP, and writes down which version it found ----
put db one
put other x
hup=$(coffer grant db --container hup --on-rotate signal:sighup)
succeeds coffer grant other --container hup
bundle hup --hook --tmpfs /tmp
program hup /init <<'INIT'
#!/bin/sh
trap 'cat /run/secrets/db >>/tmp/seen; echo >>/tmp/seen; echo told >/tmp/told' HUP
mkfifo /tmp/told
cat /run/secrets/db >/tmp/seen; echo >>/tmp/seen
while :; do sleep 1000 & wait $!; done
INIT
jq '.process.args = ["/init"]' "$D/hup.bundle/config.json" >"$D/config.new"
mv "$D/config.new" "$D/hup.bundle/config.json"
run_container hup
reads hup /run/secrets/db one
[[ $(reaction hup '[.grant, .on_rotate, .last, .result, .pending] | tostring') == \
	"[\"$hup\",\"signal:HUP\",null,null,false]" ]] || fail "before any rotation: $(reaction hup .)"
coffer grants --json | jq -e "any(.grants[]; .id == \"$hup\" and .on_rotate == \"signal:HUP\")" >/dev/null ||
	fail "the grant is listed without what it asks for"
succeeds coffer grants
grep -q signal:HUP "$D/out" || fail "coffer grants does not show it: $(cat "$D/out")"
put db two
succeeds in_container hup cat /tmp/told
succeeds in_container hup cat /tmp/seen
says $'one\ntwo'
await_audit reaction ".container == \"hup\" and .grant == \"$hup\" and .on_rotate == \"signal:HUP\""
await_idle hup
[[ $(reaction hup '.result + (.last | tostring | .[0:2])') == ok20 ]] || fail "afterwards: $(reaction hup .)"
put other y # another grant, without a reaction
succeeds coffer rollback db --to 1
succeeds in_container hup cat /tmp/told
succeeds in_container hup cat /tmp/seen
says $'one\ntwo\none'
await_idle hup
# Removed, and there again: no version replaced another. Nor does the first appearance in a grant.
succeeds coffer rm db
lacks hup /run/secrets/db
put db three
reads hup /run/secrets/db three
put db four
succeeds in_container hup cat /tmp/told
succeeds in_container hup cat /tmp/seen
says $'one\ntwo\none\nfour'
await_idle hup
[[ $(reactions hup) -eq 3 ]] || fail "hup was told $(reactions hup) times"

# A first process that does not handle it: the kernel would drop it, and that is said. The grant is a later one.
container deaf
succeeds coffer grant db --container deaf --on-rotate signal:USR1
reads deaf /run/secrets/db four
[[ $(reactions deaf) -eq 0 ]] || fail "the first appearance was a rotation"
put db five
await_audit reaction.failed '.container == "deaf" and (.reason | test("does not handle"))'
succeeds in_container hup cat /tmp/told
await_idle deaf
succeeds coffer ps
grep -qE '^deaf: signal:USR1 of grant [0-9a-f]{16} failed at 20.*does not handle' "$D/out" ||
	fail "ps does not show what failed: $(cat "$D/out")"

# ---- a program: reads the new values of its set, and writes them to a tmpfs ----
printf cert-1 >"$D/cert"
printf key-1 >"$D/pair-key"
succeeds coffer put "tls/cert.pem=@$D/cert" "tls/key.pem=@$D/pair-key"
exec_grant=$(coffer grant tls/ --container tool --on-rotate 'exec:/reload  first "second  third')
bundle tool --hook --tmpfs /tmp --writable --user 1000:1000
chmod 1777 "$D/tool.bundle/rootfs/tmp" # as which runc mounts it
program tool /reload <<'RELOAD'
#!/bin/sh
[ ! -e /tmp/hold ] || { echo held >/tmp/held; cat /tmp/hold >/dev/null; }
echo "$* $(cat /run/secrets/tls/cert.pem) $(cat /run/secrets/tls/key.pem) $COFFER_ROTATED $(id -u)" >>/tmp/done
[ ! -e /tmp/fail ] || exit 7
RELOAD
run_container tool
reads tool /run/secrets/tls/cert.pem cert-1
rotate() { # N: both at once
	printf 'cert-%s' "$1" >"$D/cert"
	printf 'key-%s' "$1" >"$D/pair-key"
	succeeds coffer put "tls/cert.pem=@$D/cert" "tls/key.pem=@$D/pair-key"
}
rotate 2
await_audit reaction ".container == \"tool\" and .grant == \"$exec_grant\" and .status == 0"
succeeds in_container tool cat /tmp/done
says 'first "second third cert-2 key-2 /run/secrets/tls/cert.pem /run/secrets/tls/key.pem 1000'

# Rotations while it runs hold up nothing, and give one more run, with the last values.
succeeds in_container tool sh -c 'rm /tmp/done; mkfifo /tmp/hold /tmp/held'
before=$(reactions tool)
rotate 3
succeeds in_container tool cat /tmp/held
for n in 4 5 6; do
	rotate $n
	[[ ! -s $D/err ]] || fail "put waited for a reaction: $(cat "$D/err")"
	reads tool /run/secrets/tls/key.pem "key-$n"
done
[[ $(reaction tool .pending) == true ]] || fail "a running reaction is not pending: $(reaction tool .)"
succeeds in_container tool sh -c 'mv /tmp/hold /tmp/on; echo >/tmp/on'
await_idle tool
[[ $(($(reactions tool) - before)) -eq 2 ]] || fail "four rotations gave $(($(reactions tool) - before)) runs"
succeeds in_container tool cut -d' ' -f4-5 /tmp/done
says $'cert-6 key-6\ncert-6 key-6'

# One that fails, one that is not there.
succeeds in_container tool touch /tmp/fail
rotate 7
await_audit reaction.failed '.container == "tool" and .status == 7'
succeeds coffer ps
grep -q '^tool: exec:/reload .*: the program ended with status 7$' "$D/out" || fail "ps: $(cat "$D/out")"
mv "$D/tool.bundle/rootfs/reload" "$D/tool.bundle/rootfs/away"
rotate 8
await_audit reaction.failed '.container == "tool" and (.reason | test("cannot run the program: No such file"))'
mv "$D/tool.bundle/rootfs/away" "$D/tool.bundle/rootfs/reload"
succeeds in_container tool rm /tmp/fail /tmp/done

# ---- the broker killed while it is under way: the next one does it ----
succeeds in_container tool mkfifo /tmp/hold
rotate 9
succeeds in_container tool cat /tmp/held
stop_broker KILL
succeeds in_container tool sh -c 'mv /tmp/hold /tmp/on2'
start_broker
await_audit reaction '.container == "tool" and .status == 0'
await_idle tool
succeeds in_container tool tail -n 1 /tmp/done
says 'first "second third cert-9 key-9 /run/secrets/tls/cert.pem /run/secrets/tls/key.pem 1000'
# And by one that comes back sealed, which knows no grant.
succeeds in_container tool sh -c 'rm /tmp/done; mkfifo /tmp/hold'
rotate 10
succeeds in_container tool cat /tmp/held
stop_broker KILL
succeeds in_container tool sh -c 'mv /tmp/hold /tmp/on3'
broker_options=()
start_broker
succeeds coffer status --json
says_json '.state == "sealed"'
await_idle tool
[[ $(reaction tool .result) == ok ]] || fail "while sealed: $(reaction tool .)"
succeeds in_container tool tail -n 1 /tmp/done
says 'first "second third cert-10 key-10 /run/secrets/tls/cert.pem /run/secrets/tls/key.pem 1000'
succeeds coffer unseal --keyfile "$D/key"
# Its grant is gone before it is due: nothing.
succeeds coffer revoke "$exec_grant"
[[ $(reaction tool .) == null ]] || fail "of a revoked grant: $(reaction tool .)"

# ---- a user namespace, and a container without room for one more process ----
put pw 1
bundle mapped --hook --userns --tmpfs /tmp
program mapped /reload <<'RELOAD'
#!/bin/sh
{ cat /run/secrets/pw; echo " $(id -u) $(grep CapEff /proc/self/status)"; } >/tmp/done
RELOAD
succeeds coffer grant pw --container mapped --on-rotate exec:/reload
run_container mapped
put pw 2
await_audit reaction '.container == "mapped" and .status == 0'
succeeds in_container mapped cat /tmp/done
says "2 0 CapEff:"$'\t'"0000000000000000"

bundle full --hook --tmpfs /tmp --jq '.linux.resources.pids.limit = 4' --args '/fill'
program full /fill <<'FILL'
#!/bin/sh
mkfifo /tmp/wait /tmp/up
for n in 1 2 3; do sleep 100000 & done
echo >/tmp/up
read -r _ </tmp/wait
FILL
succeeds coffer grant pw --container full --on-rotate exec:/bin/true
run_container full
cat "/proc/$(container_pid full)/root/tmp/up" >/dev/null || true
put pw 3
await_audit reaction.failed '.container == "full" and (.reason | test("cannot start a process in the container"))'
await_audit reaction '.container == "mapped" and .status == 0'

# ---- who may ask ----
operators=$(getent group coffer | cut -d: -f3 || true)
if [[ -z $operators ]]; then
	operators=65000
	write_config '. + {operator_group: "nogroup"}'
	operators=$(getent group nogroup | cut -d: -f3)
	stop_broker
	start_broker
	succeeds coffer unseal --keyfile "$D/key"
fi
member() {
	setpriv --reuid 65533 --regid 65533 --groups "$operators" env HOME=/ "$@"
}
succeeds member "$COFFER_BUILD/client/coffer" grant pw --container any
for what in signal:HUP exec:/bin/true; do
	fails 1 'only root' member "$COFFER_BUILD/client/coffer" grant pw --container any --on-rotate $what
done
audit_has denied '.uid == 65533 and .by == "Grant" and (.reason | test("on-rotate"))'
echo '{"grants":[{"name":"pw","conditions":{"container":"any"}},
	{"name":"pw","conditions":{"container":"any"},"on_rotate":"signal:HUP"}]}' >"$D/grants.json"
chmod 0644 "$D/grants.json"
fails 1 'only root' member "$COFFER_BUILD/client/coffer" apply "$D/grants.json"
audit_has denied '.uid == 65533 and .by == "ApplyGrants" and (.reason | test("on-rotate"))'
coffer grants --json | jq -e 'all(.grants[]; .on_rotate == null or .conditions.container != "any")' >/dev/null ||
	fail "a refused grant is there"
for what in HUP signal:KILL signal:STOP signal:9 exec:bin/true exec: 'exec:/bin/true'$'\n''x'; do
	fails 1 'on-rotate' coffer grant pw --container any --on-rotate "$what"
done
succeeds coffer audit verify
