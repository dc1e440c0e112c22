#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A rollback, a removal, an expiry and a changed grant go the way of put: to who watches the folder one IN_MOVED_TO or
# IN_DELETE for each, and nothing of how it is made; a watcher on the file itself is told that it is gone. A descriptor
# of before reads on what it opened, but for what was removed or has expired.
. "$(dirname "$0")/lib.sh"

unsealed_broker
head -c 300000 /dev/zero | tr '\0' a >"$D/a"
head -c 200000 /dev/zero | tr '\0' b >"$D/b"
succeeds coffer put "db=@$D/a" "tls/key=@$D/a"
succeeds coffer put "db=@$D/b" "tls/key=@$D/b"
succeeds coffer grant db --container web
plain=$(cat "$D/out")
succeeds coffer grant tls/ --container web
container web --with inotifywait

all=create,delete,moved_to,moved_from,modify,attrib,close_write
exec {folder}< <(runc exec web inotifywait -m -r -e $all --format '%w%f %e' /run/secrets 2>&1 </dev/null)
said() { # FD LINE: the next line of a watcher is that
	local line
	read -r -t 60 -u "$1" line || fail "inotify in the container said nothing more, not '$2'"
	[[ $line == "$2" ]] || fail "inotify in the container said '$line', not '$2'"
}
until read -r -t 60 -u "$folder" line && [[ $line == 'Watches established.' ]]; do
	[[ -n $line ]] || fail "inotifywait did not begin"
done

hold() { # PATH: a process opens it and waits
	mkfifo "$D/go" "$D/holder"
	runc exec web sh -c "exec 3<$1; head -c 1 <&3; echo ' opened'; read -r _; cat <&3 | md5sum; cat <&3 2>&1 >/dev/null
		echo ended" <"$D/go" >"$D/holder" 2>&1 &
	exec {go}>"$D/go" {holder}<"$D/holder"
	rm "$D/go" "$D/holder"
	read -r line <&"$holder"
	[[ $line == ?' opened' ]] || fail "the process with an open file said '$line'"
}
holder_reads() { # FILE: the rest of what it opened is that file's
	local rest
	rest=$(tail -c +2 "$1" | md5sum)
	echo >&"$go"
	read -r line <&"$holder"
	exec {go}>&- {holder}<&-
	[[ $line == "$rest" ]] || fail "the open file said '$line', not '$rest'"
}
holder_is_refused() {
	echo >&"$go"
	cat <&"$holder" >"$D/holder.log"
	exec {go}>&- {holder}<&-
	grep -q 'Permission denied' "$D/holder.log" || fail "the open file said $(head -c 300 "$D/holder.log")"
}
is() { # PATH FILE: the container sees it, with its size
	in_container web cat "/run/secrets/$1" | cmp - "$2" || fail "$1 is not $2"
	[[ $(in_container web stat -c %s "/run/secrets/$1") -eq $(stat -c %s "$2") ]] || fail "the size of $1 is not that of $2"
}

# A rollback.
hold /run/secrets/db
succeeds coffer rollback db --to 1
says 'db 3'
[[ ! -s $D/err ]] || fail "rollback said $(cat "$D/err")"
said "$folder" '/run/secrets/db MOVED_TO'
holder_reads "$D/b"
is db "$D/a"

# Below a prefix, and a watcher on the file itself.
exec {own}< <(runc exec web inotifywait -e delete_self --format '%e' /run/secrets/tls/key 2>&1 </dev/null)
until read -r -t 60 -u "$own" line && [[ $line == 'Watches established.' ]]; do
	[[ -n $line ]] || fail "inotifywait on the file did not begin"
done
succeeds coffer rollback tls/key --to 1
said "$folder" '/run/secrets/tls/key MOVED_TO'
said "$own" DELETE_SELF

# A grant with another mode comes in the place of the one that goes: the same version, once more.
before=$(in_container web stat -c '%a %i' /run/secrets/db)
hold /run/secrets/db
succeeds coffer grant db --container web --mode 0440 --gid 1000
other=$(cat "$D/out")
[[ $(in_container web stat -c '%a %i' /run/secrets/db) == "$before" ]] || fail "the older grant does not have the file"
succeeds coffer revoke "$plain"
[[ ! -s $D/err ]] || fail "revoke said $(cat "$D/err")"
said "$folder" '/run/secrets/db MOVED_TO'
[[ $(in_container web stat -c '%a %g' /run/secrets/db) == '440 1000' ]] || fail "the mode is not the new grant's"
holder_reads "$D/a"
is db "$D/a"
succeeds coffer ps --json
says_json '.attachments[0].files[] | select(.path == "db") | .version == 3 and .opened_version == 3 and .held == []'

# The same secret at another path: away from here, and there.
hold /run/secrets/db
succeeds coffer grant db --container web --as there
said "$folder" '/run/secrets/there MOVED_TO'
succeeds coffer revoke "$other"
said "$folder" '/run/secrets/db DELETE'
holder_is_refused
is there "$D/a"

# An expiry that comes with a put, and one that a later put takes away.
succeeds coffer put "db=@$D/b" --expires 1h
said "$folder" '/run/secrets/there MOVED_TO'
succeeds coffer put "db=@$D/a"
said "$folder" '/run/secrets/there MOVED_TO'
[[ -z $(in_container web sh -c 'ls -l /run/secrets' | grep db || true) ]] || fail "db is still there"
hold /run/secrets/there
succeeds coffer put "db=@$D/b" --expires 1s
said "$folder" '/run/secrets/there MOVED_TO'
said "$folder" '/run/secrets/there DELETE'
holder_is_refused # the file is gone, and with it every version that was ever there

# A removal.
succeeds coffer put "db=@$D/b"
said "$folder" '/run/secrets/there MOVED_TO'
hold /run/secrets/there
succeeds coffer rm db
[[ ! -s $D/err ]] || fail "rm said $(cat "$D/err")"
said "$folder" '/run/secrets/there DELETE'
holder_is_refused
succeeds coffer rm tls/key
said "$folder" '/run/secrets/tls/key DELETE'
said "$folder" '/run/secrets/tls DELETE,ISDIR' # the last of its prefix

# Nothing else was said: the next thing that the watchers hear is the next change.
succeeds coffer put "db=@$D/a"
said "$folder" '/run/secrets/there MOVED_TO'
succeeds coffer audit verify
