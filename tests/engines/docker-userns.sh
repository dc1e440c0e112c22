#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A Docker whose containers' users are mapped (userns-remap): its state lies one folder further down and is still found,
# files belong to the users as seen inside, and a container without the mapping (--userns=host) is served as well.
. "$(dirname "$0")/../integration/lib.sh"
# shellcheck source=docker-lib.sh
. "$(dirname "$0")/docker-lib.sh"

user=coffer-$TAG # whose subordinate ids they are
user=${user,,}
useradd --system --no-create-home --shell /usr/sbin/nologin "$user"
on_exit+=('sed -i "/^$user:/d" /etc/subuid /etc/subgid; userdel "$user" 2>>"$D/end.log"')
sed -i "/^$user:/d" /etc/subuid /etc/subgid
echo "$user:200000:65536" >>/etc/subuid
echo "$user:200000:65536" >>/etc/subgid

docker_with_coffer --userns-remap "$user"
[[ -d $E/data/200000.200000/containers ]] || fail "Docker does not map: $(ls "$E/data")"
put db value
succeeds coffer grant db --container web
succeeds coffer grant db --image "$(cat "$D/image.id")"
finds() { # MODE UID OPTION...
	succeeds docker run --rm "${@:3}" debian:12 sh -c 'stat -c "%a %u %g" /run/secrets/db; cat /run/secrets/db'
	says "$1 $2 $2"$'\n'value
}
finds 444 0
finds 400 1000 --user 1000:1000
finds 444 0 --read-only --tmpfs /run
finds 444 0 --userns host

succeeds docker run --detach --name web --user app --label app=shop debian:12 sleep infinity
[[ $(stat -c %u "/proc/$(pid_of web)") -eq 201000 ]] || fail "its user is not mapped"
succeeds docker exec web cat /run/secrets/db
says value
succeeds coffer explain --json web
says_json '.facts | any(.name == "label app" and .value == "shop" and (.source | test("root-owned")))'
says_json '[.matches[] | select(.matches).strength] | sort == ["strong", "weak"]'
succeeds docker restart --time 0 web
put db newer
succeeds docker exec web cat /run/secrets/db
says newer
run docker exec --user root web sh -c 'echo no >/run/secrets/db'
[[ $status -ne 0 ]] || fail "the mapped root writes to the mount"
echo "$SECONDS s"
