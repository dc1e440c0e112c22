#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ps says for each container and file which version is served, which was opened last and when, and which older ones a
# process still has open or mapped: over rotations, a rollback and a changed grant, when the worker or the broker is
# killed or stopped, and when a version is let go of while there is no broker.
. "$(dirname "$0")/lib.sh"

broker_options=(--keyfile "$D/key")
unsealed_broker
put db one
library=$(/usr/bin/python3 -c "import os; print(os.path.dirname(os.__file__))")
for name in web idle; do
	succeeds coffer grant db --container $name
	grant=$(cat "$D/out")
	container $name --with /usr/bin/python3 --mount "$library:$library"
done
cat >"$D/hold.py" <<'PYTHON'
import mmap, os, sys
how = sys.argv[1]
fd = os.open("/run/secrets/db", os.O_RDONLY)
if how == "map":
    area = mmap.mmap(fd, 0, prot=mmap.PROT_READ)
    os.close(fd)
print("holding", flush=True)
sys.stdin.readline()
print(area[:].decode() if how == "map" else os.read(fd, 100).decode(), flush=True)
PYTHON

file() { # CONTAINER JQ-FILTER: holds for its file db
	succeeds coffer ps --json
	says_json ".attachments[] | select(.container == \"$1\") | .files[] | select(.path == \"db\") | $2"
}
comes_to() { # CONTAINER JQ-FILTER: what the kernel lets go of passes two loops; a look at ps is a turn of the broker's
	local try
	for ((try = 0; try < 400; try++)); do
		coffer ps --json >"$D/ps"
		! jq -e ".attachments[] | select(.container == \"$1\") | .files[] | select(.path == \"db\") | $2" \
			"$D/ps" >/dev/null || return 0
	done
	fail "$2 did not come to hold: $(head -c 3000 "$D/ps")"
}

declare -A held_in held_out held_pid
hold() { # NAME HOW: a process of web has db open, or mapped and no descriptor of it
	local in out line
	mkfifo "$D/$1.in" "$D/$1.out"
	runc exec web /usr/bin/python3 -c "$(cat "$D/hold.py")" "$2" <"$D/$1.in" >"$D/$1.out" 2>&1 &
	held_pid[$1]=$!
	exec {in}>"$D/$1.in" {out}<"$D/$1.out"
	rm "$D/$1.in" "$D/$1.out"
	held_in[$1]=$in held_out[$1]=$out
	read -r line <&"$out"
	[[ $line == holding ]] || fail "the process $1 said '$line'"
}
lets_go() { # NAME VALUE: it reads what it held, and ends
	local in=${held_in[$1]} out=${held_out[$1]} line
	echo >&"$in"
	read -r line <&"$out"
	[[ $line == "$2" ]] || fail "$1 held '$line', not '$2'"
	wait "${held_pid[$1]}"
	exec {in}>&- {out}<&-
}

# Never opened: nothing is said of opens.
file web '.version == 1 and .opened_version == null and .opened == null and .held == []'

# A process holds 1 open while 2 and 3 come; another has 2 mapped.
hold first open
file web '.version == 1 and .opened_version == 1 and (.opened | type == "string") and .held == []'
opened=$(jq -r '.attachments[] | select(.container == "web") | .files[0].opened' "$D/out")
put db two
file web '.version == 2 and .opened_version == 1 and .held == [1]'
hold second map
file web ".version == 2 and .opened_version == 2 and .opened > \"$opened\" and .held == [1]"
put db three
file web '.version == 3 and .opened_version == 2 and .held == [1, 2]'
file idle '.version == 3 and .opened_version == null and .held == []'
succeeds coffer ps
grep -qP '^web\trunc\t\d+\tattached\tdb\t3\t2\t20[^\t]+Z\t1,2$' "$D/out" || fail "ps says $(cat -A "$D/out")"
grep -qP '^idle\trunc\t\d+\tattached\tdb\t3\t-\t-\t-$' "$D/out" || fail "ps says $(cat -A "$D/out")"

# A worker killed, a broker killed, a broker stopped: the same is said afterwards.
worker=$(coffer ps --json | jq '.attachments[] | select(.container == "web") | .worker')
kill -9 "$worker"
await_audit worker.ended '.container == "web"'
file web '.version == 3 and .opened_version == 2 and .held == [1, 2]'
reads web /run/secrets/db three
file web '.opened_version == 3 and .held == [1, 2]'
put db four
comes_to web '.version == 4 and .opened_version == 3 and .held == [1, 2]' # 3 is held by nobody
stop_broker TERM
start_broker
file web '.version == 4 and .opened_version == 3 and .held == [1, 2]'
stop_broker KILL
start_broker
file web '.version == 4 and .opened_version == 3 and .held == [1, 2]'

# Let go of while there is no broker: the next one is told.
stop_broker KILL
lets_go first one
start_broker
comes_to web '.held == [2]'
stop_broker TERM
start_broker
file web '.held == [2]'

# The worker is killed, and what its successor was told as held is let go of then.
worker=$(coffer ps --json | jq '.attachments[] | select(.container == "web") | .worker')
kill -9 "$worker"
reads web /run/secrets/db four
lets_go second two
comes_to web '.held == []'

# A rollback is a new version; a changed grant is none, but what held the file before still does so.
hold third open
succeeds coffer rollback db --to 1
says 'db 5'
file web '.version == 5 and .opened_version == 4 and .held == [4]'
reads web /run/secrets/db one
file web '.opened_version == 5 and .held == [4]'
lets_go third four
comes_to web '.held == []'
succeeds coffer revoke "$grant" # of idle
succeeds coffer ps --json
says_json '.attachments[] | select(.container == "idle") | .files == []'

# Removed and put again: it begins anew.
hold fourth map
succeeds coffer rm db
put db six
file web '.version == 6 and .opened_version == null and .held == [5]'
reads web /run/secrets/db six
file web '.opened_version == 6'

# Many versions: the cell stays short.
for ((i = 7; i <= 11; i++)); do
	hold "v$i" open
	put db "$i"
done
succeeds coffer ps
grep -qP '\tdb\t11\t10\t[^\t]+\t5,6,7,8,\+2$' "$D/out" || fail "ps says $(cat -A "$D/out")"
succeeds coffer explain web --json
says_json '.files[0] | .version == 11 and .opened_version == 10 and (.held | length) == 6'
succeeds coffer audit verify
