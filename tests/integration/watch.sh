#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Watch and wait: what there is, then what happens to it, in the order of the changes, when it is durable and every
# container shows it. With the client and with plain Varlink; sealed, slow, refused, and with the broker gone.
. "$(dirname "$0")/lib.sh"

broker_options=(--keyfile "$D/key")
unsealed_broker
put db one
put db two
put tls/cert c
put tls/key k
put gone x
succeeds coffer grant db --container web
succeeds coffer grant brief --container web
container web

declare -A watch_of pid_of
watch() { # NAME ARGUMENT...: its lines are read by line
	local fd
	exec {fd}< <(exec "$COFFER_BUILD/client/coffer" watch "${@:2}" 2>"$D/$1.err")
	watch_of[$1]=$fd
	pid_of[$1]=$!
}
line() { # NAME TEXT: its next line
	local got
	read -r -t 60 -u "${watch_of[$1]}" got || fail "the watch $1 ended, or nothing came: $(cat "$D/$1.err")"
	[[ $got == "$2" ]] || fail "the watch $1 said '$got', not '$2'"
}
ends() { # NAME PATTERN: with status 1 and that line
	local got=0 rest
	! read -r rest <&"${watch_of[$1]}" || fail "the watch $1 said '$rest'"
	wait "${pid_of[$1]}" || got=$?
	[[ $got -eq 1 ]] || fail "the watch $1 ended with status $got"
	grep -qE "$2" "$D/$1.err" || fail "the watch $1 said $(cat "$D/$1.err")"
}

# What there is: all of it, below a prefix, one name.
watch all
line all "now db 2"
line all "now gone 1"
line all "now tls/cert 1"
line all "now tls/key 1"
line all "ready"
watch tls tls/
line tls "now tls/cert 1"
line tls "now tls/key 1"
line tls "ready"
watch none tls/none --json
line none '{"event":"ready"}'

# What happens, each once and in order; an expiry at its time, whether a container shows it or not.
printf brief | coffer put brief --expires 1s >/dev/null
line all "put brief 1"
line all "expire brief 1"
put tls/none n
line none '{"event":"put","name":"tls/none","version":1}'
succeeds coffer put "tls/cert=@$D/key" "tls/key=@$D/key"
succeeds coffer rollback tls/key --to 1
succeeds coffer rm gone
line tls "put tls/none 1"
for event in "put tls/cert 2" "put tls/key 2" "put tls/key 3"; do
	line tls "$event"
done
for event in "put tls/none 1" "put tls/cert 2" "put tls/key 2" "put tls/key 3" "remove gone 1"; do
	line all "$event"
done
printf x | coffer put unseen --expires 1s >/dev/null
line all "put unseen 1"
line all "expire unseen 1"
fails 1 'expired' coffer get unseen
lacks web /run/secrets/brief

# When it is told the container shows it.
for ((i = 3; i < 8; i++)); do
	printf 'value %s' $i | coffer put db >/dev/null &
	line all "put db $i"
	reads web /run/secrets/db "value $i"
	wait $!
done

# A container that cannot show it holds nobody up for long.
worker=$(coffer ps --json | jq '.attachments[0].worker')
spawner=$(pgrep -P "$broker_pid" | head -n 1)
kill -STOP "$spawner"
on_exit+=("kill -CONT $spawner 2>/dev/null")
kill -9 "$worker"
await_audit worker.ended
put db stuck 2>/dev/null
line all "put db 8"
kill -CONT "$spawner"

# wait: newer than now, newer than N (which may be there), until it comes, until it is gone.
declare -A waiting
begin_wait() { # NAME ARGUMENT...
	"$COFFER_BUILD/client/coffer" wait "${@:2}" >"$D/$1.out" 2>"$D/$1.err" &
	waiting[$1]=$!
}
wait_says() { # NAME STATUS TEXT
	local got=0
	wait "${waiting[$1]}" || got=$?
	[[ $got -eq $2 ]] || fail "wait $1 ended with status $got: $(cat "$D/$1.err")"
	[[ $(cat "$D/$1.out") == "$3" ]] || fail "wait $1 printed '$(cat "$D/$1.out")'"
}
succeeds coffer wait db --newer-than 7
says 'db 8'
succeeds coffer wait db --newer-than 0 --json
says '{"name":"db","version":8}'
succeeds coffer wait gone --removed --timeout 60s
says ''
put_until_it_ends() { # NAME SECRET: that the wait has begun nobody tells; each put is a new version
	while kill -0 "${waiting[$1]}" 2>/dev/null; do
		put "$2" again
	done
}
begin_wait newer db --timeout 1h
put_until_it_ends newer db
wait_says newer 0 "$(cat "$D/newer.out")"
grep -qE '^db [0-9]+$' "$D/newer.out" || fail "wait printed $(cat "$D/newer.out")"
succeeds coffer info db --json
[[ $(cut -d' ' -f2 "$D/newer.out") -gt 8 ]] || fail "wait printed $(cat "$D/newer.out")"
begin_wait comes not-yet
put_until_it_ends comes not-yet
grep -qE '^not-yet [0-9]+$' "$D/comes.out" || fail "wait printed $(cat "$D/comes.out")"
succeeds coffer rm not-yet
put not-yet here
not_yet=$(coffer info not-yet --json | jq .secret.version)
begin_wait later db --newer-than 1000
begin_wait goes db --removed
printf x | coffer put short-lived --expires 1s >/dev/null
succeeds coffer wait short-lived --removed
succeeds coffer rm db
wait_says goes 0 ''
fails 1 'never did not come within 1s' coffer wait never --timeout 1s
fails 1 "not-yet got no version newer than $not_yet within 1s" coffer wait not-yet --timeout 1s
fails 1 'not-yet got no version newer than 70000 within 1s' coffer wait not-yet --newer-than 70000 --timeout 1s
fails 1 "not-yet is still there after 1s, at version $not_yet" coffer wait not-yet --removed --timeout 1s

# Plain Varlink: replies of a stream; what is refused; who does not read is cut off and holds nobody up; the limit.
cat >"$D/raw.py" <<'PYTHON'
import json, socket, subprocess, sys
path, coffer, empty = sys.argv[1:]

class Stream:
    def __init__(self, parameters, more=True):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(path)
        call = {"method": "io.coffer.operator.Watch", "parameters": parameters, "more": more}
        self.sock.sendall(json.dumps(call).encode() + b"\0")
        self.rest = b""
    def reply(self):
        while b"\0" not in self.rest:
            got = self.sock.recv(1 << 16)
            assert got, "the connection ended"
            self.rest += got
        text, self.rest = self.rest.split(b"\0", 1)
        return json.loads(text)
    def until_ready(self):
        events = []
        while not events or events[-1]["event"] != "ready":
            reply = self.reply()
            assert reply["continues"], reply
            events += reply["parameters"]["events"]
        return events
    def error(self):
        reply = self.reply()
        assert "error" in reply, reply
        return reply["error"].rsplit(".", 1)[1]

for parameters, more, error in [
    ({}, False, "Invalid"), ({"name": ""}, True, "Invalid"), ({"name": "/"}, True, "Invalid"),
    ({"name": "No"}, True, "Invalid"), ({"name": 1}, True, "Invalid"), ({"name": "a//"}, True, "Invalid"),
    ({"prefix": "a"}, True, "Invalid"),
]:
    got = Stream(parameters, more).error()
    assert got == error, (parameters, got)

def put_many():
    subprocess.run([coffer, "put"] + [f"many/{i}=@{empty}" for i in range(128)], check=True,
                   stdout=subprocess.DEVNULL)

put_many()
one = Stream({"name": "many/7"})
assert one.until_ready() == [{"event": "now", "name": "many/7", "version": 1}, {"event": "ready"}]
all_of_them = Stream({"name": "many/"})
listed = all_of_them.until_ready()
assert [e["name"] for e in listed[:-1]] == sorted(f"many/{i}" for i in range(128)), listed

slow = Stream({})
slow.until_ready()
ROUNDS = 90
told = []
for turn in range(ROUNDS):
    put_many()
    while len(told) < 128 * (turn + 1):
        told += all_of_them.reply()["parameters"]["events"]
assert all(e == {"event": "put", "name": f"many/{i % 128}", "version": 2 + i // 128} for i, e in enumerate(told))
seen = 0
while True:
    reply = slow.reply()
    if "error" in reply:
        break
    seen += len(reply["parameters"]["events"])
assert reply["error"].endswith(".Busy") and "watch again" in reply["parameters"]["message"], reply
assert 0 < seen < ROUNDS * 128, seen
count = 0
while count < ROUNDS: # it waited in its queue, in order
    for event in one.reply()["parameters"]["events"]:
        assert event == {"event": "put", "name": "many/7", "version": 2 + count}, event
        count += 1

many = []
while True:
    stream = Stream({"name": "many/1"})
    reply = stream.reply()
    if "error" in reply:
        break
    many.append(stream)
assert reply["error"].endswith(".Busy") and len(many) > 200, (reply, len(many))
many.pop().sock.close()
while True: # the broker has seen it close within a turn of its loop
    last = Stream({"name": "many/1"})
    if "error" not in last.reply():
        break
PYTHON
: >"$D/empty"
succeeds timeout 200 /usr/bin/python3 "$D/raw.py" "$RUN/operator.sock" "$COFFER_BUILD/client/coffer" "$D/empty"

# More than one page, and what changes while it is listed.
batch=()
for ((i = 0; i < 1200; i++)); do
	batch+=("page/$i=@$D/empty")
	[[ ${#batch[@]} -lt 120 ]] || { succeeds coffer put "${batch[@]}"; batch=(); }
done
watch pages page/
for ((i = 0; i < 1200; i++)); do
	read -r -t 60 -u "${watch_of[pages]}" got
	echo "$got"
done >"$D/pages"
line pages ready
[[ $(sort -u "$D/pages" | grep -c '^now page/[0-9]* 1$') -eq 1200 ]] || fail "the list is $(head -c 500 "$D/pages")"

# Sealed: the end of every stream, and no new one.
watch sealed tls/cert
line sealed "now tls/cert 2"
line sealed ready
succeeds coffer seal
ends sealed 'the store was sealed|unseal'
wait_says later 1 ''
grep -q seal "$D/later.err" || fail "wait said $(cat "$D/later.err")"
fails 1 'unseal' coffer watch
fails 1 'unseal' coffer wait tls/cert
succeeds coffer unseal --keyfile "$D/key"

# The broker goes away: said, status 1.
watch away tls/cert
line away "now tls/cert 2"
line away ready
begin_wait left tls/cert --newer-than 1000
stop_broker KILL
ends away 'the broker went away'
wait_says left 1 ''
grep -qE 'the broker (went away|hung up)|cannot reach the broker' "$D/left.err" || fail "wait said $(cat "$D/left.err")"
fails 1 'cannot reach the broker' coffer wait tls/cert
start_broker

# The usual mistakes.
fails 2 'something is missing' coffer wait
fails 2 'exclude each other' coffer wait db --removed --newer-than 3
fails 2 'number from 0' coffer wait db --newer-than -1
fails 2 '90s, 15m, 12h' coffer wait db --timeout soon
fails 1 "not a secret's name" coffer wait DB
fails 1 "not a secret's name" coffer wait tls/
fails 2 'too many' coffer watch a b
succeeds coffer audit verify
