#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Podman of a user of this host, without root: its hook says that it cannot register and lets the container start; the
# container, with the workload folder mounted as docs/podman.md says, asks for itself. What is known of it lies in that
# user's hands: only grants with --allow-unverified match, and another user's claims are its own.
. "$(dirname "$0")/../integration/lib.sh"
. "$(dirname "$0")/podman-lib.sh"
. "$(dirname "$0")/page-lib.sh"

# A user of this test, with a folder as logind makes it and a cgroup, which logind would make too.
new_user() { # NAME: sets home_NAME, uid_NAME
	local name=$1 uid
	useradd --create-home --home-dir "$D/home-$name" "$name"
	on_exit+=("userdel $name >>\"\$D/end.log\" 2>&1")
	uid=$(id -u "$name")
	printf -v "uid_$name" %s "$uid"
	mkdir -p /run/user
	mkdir -m 700 "/run/user/$uid"
	chown "$name:" "/run/user/$uid"
	on_exit+=("rm -rf --one-file-system /run/user/$uid")
	on_exit+=("end_user $name")
	# Its own pid namespaces and mounts are in its own home; the host's settings for locks and events are not.
	sed "s|hooks.d\"\]|hooks-user\"]|; /tmp_dir/d; /^runc = /s|\".*\"|\"/usr/sbin/runc\", \"/usr/bin/runc\"|" \
		"$PODMAN/containers.conf" >"$D/containers-$name.conf"
	printf '[storage]\ndriver = "vfs"\n' >"$D/storage-$name.conf"
	chmod 644 "$D/containers-$name.conf" "$D/storage-$name.conf"
}

in_cgroup() { # NAME COMMAND...
	local name=$1
	mkdir -p "$CGROUP2/coffer-test-$TAG-$name"
	(
		echo "$BASHPID" >"$CGROUP2/coffer-test-$TAG-$name/cgroup.procs"
		exec "${@:2}"
	)
}

as() { # USER COMMAND...: as that user's login would run it
	local name=$1
	shift
	# shellcheck disable=SC2016
	in_cgroup "$name" setpriv --reuid "$name" --regid "$name" --init-groups --inh-caps=-all \
		env -i PATH="$PATH" HOME="$D/home-$name" XDG_RUNTIME_DIR="/run/user/$(id -u "$name")" \
		CONTAINERS_CONF="$D/containers-$name.conf" CONTAINERS_STORAGE_CONF="$D/storage-$name.conf" \
		sh -c 'cd && exec "$@"' as "$@"
}

end_user() { # NAME
	as "$1" podman rm --all --force --time 0 >>"$D/end.log" 2>&1
	local pids
	while mapfile -t pids <"$CGROUP2/coffer-test-$TAG-$1/cgroup.procs" && [[ ${#pids[@]} -gt 0 ]]; do
		end_processes "${pids[@]}"
	done
	rmdir "$CGROUP2/coffer-test-$TAG-$1"
}

install_hook
mkdir "$D/hooks-user"
# The hook as it is, but for a record of what it says.
install -m 666 /dev/null "$D/said"
jq --arg hook "$PODMAN/usr/bin/coffer-hook" --arg said "$D/said" '.hook.path = "/bin/sh" |
	.hook.args = ["sh", "-c", "\($hook) 2>>\($said); status=$?; echo ended with $status >>\($said); exit $status"]' \
	"$D/hooks.d/coffer-hook.json" >"$D/hooks-user/coffer-hook.json"
podman_broker
put db value
put other not-for-it

first=cofa$TAG second=cofb$TAG
first=${first,,} second=${second,,}
new_user "$first"
new_user "$second"

podman_root
bundle_program "$PODMAN/rootfs" socat
sed -n '/^#!\/bin\/sh$/,/base64 -d$/p' "$here/../../docs/containers.md" >"$PODMAN/rootfs/bin/coffer-get"
chmod 755 "$PODMAN/rootfs/bin/coffer-get"
tar -C "$PODMAN/rootfs" -c . >"$D/shop.tar"
chmod 644 "$D/shop.tar"

start() { # USER NAME [options]
	succeeds as "$1" podman run --detach --name "$2" --volume "$RUN/workload:/run/coffer/workload:ro" "${@:3}" \
		localhost/shop:1 sleep infinity
}
get() { # USER NAME PATH
	as "$1" podman exec "$2" coffer-get "$3"
}

succeeds as "$first" podman import --quiet --change 'LABEL tier=image' "$D/shop.tar" localhost/shop:1
# As the page has it, where root has granted as it says.
printf 'correct horse' | coffer put db-password >/dev/null
page_blocks "$here/../../docs/podman.md" sh
granted=$(sh -c "PATH=$COFFER_BUILD/client:\$PATH; $(grep -h allow-unverified "$D"/page/sh.[0-9][0-9])")
(
	# shellcheck disable=SC2317
	podman() {
		as "$first" podman "$@"
	}
	page_run "$here/../../docs/podman.md" user
	says_last=$(cat "$D/page/out")
	[[ $says_last == *'correct horse' ]] || fail "the page's last command printed: $says_last"
)
succeeds as "$first" podman rm --force --time 0 shop
await_audit end '.container == "shop"'
coffer revoke "$granted" >/dev/null
: >"$D/said"
start "$first" shop --label app=web
grep -q "rootless engine's hook cannot register" "$D/said" || fail "the hook said: $(cat "$D/said")"
[[ $(grep -c 'ended with 0' "$D/said") -eq 1 ]] || fail "the hook: $(cat "$D/said")"

# Nothing matches without leave, and the broker says what is missing.
strict=$(coffer grant db --container shop)
run get "$first" shop db
[[ $status -ne 0 ]] || fail "it got $(cat "$D/out")"
grep -q NotFound "$D/err" || fail "coffer-get said: $(cat "$D/err")"
pid=$(as "$first" podman inspect --format '{{.State.Pid}}' shop)
succeeds coffer explain --pid "$pid" --json
says_json 'any(.facts[]; .name == "container" and .value == "shop" and (.source | test("unverified")))'
says_json 'any(.matches[]; .grant == "'"$strict"'" and (.matches | not) and (.reason | test("--allow-unverified")))'
says_json 'any(.notes[]; test("--allow-unverified"))'

# With leave: by name, by its starter's label, not by the image's, and nothing that is not granted.
coffer revoke "$strict" >/dev/null
coffer grant db --container shop --runtime podman --allow-unverified >/dev/null
succeeds get "$first" shop db
says value
put db newer
succeeds get "$first" shop db
says newer
run get "$first" shop other
grep -q NotFound "$D/err" || fail "coffer-get said: $(cat "$D/out" "$D/err")"
by_image=$(coffer grant other --label tier=image --allow-unverified)
run get "$first" shop other
grep -q NotFound "$D/err" || fail "coffer-get said: $(cat "$D/out" "$D/err")"
succeeds coffer explain --pid "$pid" --json
says_json 'any(.matches[]; .grant == "'"$by_image"'" and (.reason | test("came with the image")))'
coffer grant other --label app=web --allow-unverified >/dev/null
succeeds get "$first" shop other
says not-for-it
audit_has api.get '.container == "shop" and .name == "other" and .uid == '"$(id -u "$first")"

# Its folder comes by Attach, made in its own namespaces, with its own root as the owner.
succeeds as "$first" podman exec shop sh -c 'printf "{\"method\":\"io.coffer.workload.Attach\"}\0" |
	socat -t 10 - UNIX-CONNECT:/run/coffer/workload/sock | tr "\0" "\n"'
says_json '.parameters.folder == "/run/secrets"'
succeeds as "$first" podman exec shop cat /run/secrets/db
says newer
succeeds as "$first" podman exec shop stat -c '%u %a' /run/secrets/db
says '0 444'

# Another user says in its runtime's state that its container is one of root's, bundle and all. What it says is
# shown as that user's word, and grants to root's container do not match.
image localhost/vault:1
succeeds podman run --detach --name vault localhost/vault:1 sleep infinity
victim=$(podman inspect --format '{{.Id}}' vault)
bundle=$(podman inspect --format '{{.OCIConfigPath}}' vault)
coffer grant db --container vault >/dev/null
succeeds podman exec vault cat /run/secrets/db
says newer
succeeds as "$second" podman import --quiet "$D/shop.tar" localhost/shop:1
start "$second" liar
id=$(as "$second" podman inspect --format '{{.Id}}' liar)
states=/run/user/$(id -u "$second")/runc
# Podman itself would not find the container meanwhile: the process that will ask is there before.
coproc liar { as "$second" podman exec --interactive liar sh -c 'echo ready; read -r _; coffer-get db' 2>&1; }
answers=${liar[0]}
read -r -u "$answers" line
[[ $line == ready ]] || fail "podman exec said: $line"
mkdir "$states/$victim"
jq --arg id "$victim" --arg bundle "bundle=${bundle%/*}" '.id = $id | .config.labels |= map(if startswith("bundle=")
	then $bundle else . end)' "$states/$id/state.json" >"$states/$victim/state.json"
chown -R "$second:" "$states/$victim"
on_exit+=("rm -r '$states/$victim'; mv '$D/aside' '$states/$id'")
mv "$states/$id" "$D/aside"
echo go >&"${liar[1]}"
read -r -u "$answers" line
[[ $line == *NotFound* ]] || fail "as if it were root's container it got: $line"
succeeds coffer explain --pid "$(jq .init_process_pid "$states/$victim/state.json")" --json
says_json 'any(.facts[]; .name == "container" and .value == "vault" and (.source | test("unverified")))'
says_json 'all(.matches[]; .matches | not)'
audit_has register '.id == "'"$victim"'"'
