#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What is known of Podman's containers and where it comes from: users, read-only roots, mapped users, Podman's own
# secrets, annotations and digests of images, moved tags, names used again, containers without an image; what cannot be
# read matches nothing and is told; what a restarted broker still knows.
. "$(dirname "$0")/../integration/lib.sh"
. "$(dirname "$0")/podman-lib.sh"

install_hook
podman_broker
image localhost/base:1 'LABEL app=image' 'LABEL both=same'
printf 'FROM localhost/base:1\nLABEL tier=image\n' >"$D/Containerfile"
succeeds podman build --quiet --annotation team=image --annotation zone=image --tag localhost/shop:1 \
	--file "$D/Containerfile" "$D"
put db value
put other not-for-it

start() { # NAME [options of podman run]
	succeeds podman run --detach --name "$1" "${@:2}" localhost/shop:1 sleep infinity
}
shows() { # NAME VALUE [USER]: what it reads as db
	succeeds podman exec --user "${3-}" "$1" cat /run/secrets/db
	says "$2"
}
lacks_db() { # NAME
	run podman exec "$1" cat /run/secrets/db
	grep -q 'No such file' "$D/err" || fail "$1: $(cat "$D/out" "$D/err")"
}
mode_of() { # NAME
	podman exec "$1" stat -c '%u %g %a' /run/secrets/db
}
explains() { # NAME GRANT JQ-FILTER: of the grant's line
	succeeds coffer explain "$1" --json
	says_json "any(.matches[]; .grant == \"$2\" and ($3))"
}

# Users. The owner is whom the container starts as, in its own numbers; what root starts is readable for all.
coffer grant db --label for=users >/dev/null
# A limit that is none stands in its database as a number of 20 digits.
start plain --label for=users --read-only --ulimit nofile=1024:1024 --ulimit nproc=1000:1000 --ulimit core=-1:-1
grep -qa '"hard":18446744073709551615' "$PODMAN/store/libpod/bolt_state.db" || fail "no such limit in the database"
shows plain value
shows plain value 1000
[[ $(mode_of plain) == '0 0 444' ]] || fail "plain: $(mode_of plain)"
start user --label for=users --user 1000:1000 --read-only
shows user value
[[ $(mode_of user) == '1000 1000 400' ]] || fail "user: $(mode_of user)"
run podman exec --user 65534 user cat /run/secrets/db
grep -q 'Permission denied' "$D/err" || fail "another user: $(cat "$D/out" "$D/err")"
start mapped --label for=users --uidmap 0:200000:65536 --gidmap 0:200000:65536
shows mapped value
[[ $(mode_of mapped) == '0 0 444' ]] || fail "mapped: $(mode_of mapped)"
[[ $(stat -c %u "/proc/$(podman inspect --format '{{.State.Pid}}' mapped)") == 200000 ]] || fail "mapped has no map"
# Its bundle's folder is its mapped root's: what root wrote there counts, what that uid puts in its place does not.
mkdir "$D/no-hooks"
succeeds podman --hooks-dir "$D/no-hooks" run --detach --name aside --label for=users --uidmap 0:200000:65536 \
	--gidmap 0:200000:65536 localhost/shop:1 sleep infinity
succeeds coffer explain aside --json
says_json 'any(.matches[]; .matches) and (any(.notes[]; test("allow-unverified")) | not)'
bundle=$(podman inspect --format '{{.OCIConfigPath}}' aside)
[[ $(stat -c %u "${bundle%/*}") == 200000 ]] || fail "the bundle's folder is not the mapped root's"
cp "$bundle" "$D/config.aside"
setpriv --reuid 200000 --regid 200000 --clear-groups sh -c "cat >'$bundle.new' && mv -f '$bundle.new' '$bundle'" \
	<"$D/config.aside"
succeeds coffer explain aside --json
says_json 'all(.matches[]; .matches | not) and any(.notes[]; test("allow-unverified"))'
succeeds podman run --rm --label for=users localhost/shop:1 cat /run/secrets/db
says value

# Podman's own secrets stay; where both want a name, it has it, and explain says so.
printf podmans >"$D/theirs"
succeeds podman secret create theirs "$D/theirs"
start beside --label for=users --secret theirs --secret theirs,target=db
succeeds podman exec beside cat /run/secrets/theirs
says podmans
shows beside podmans
succeeds coffer explain beside --json
says_json 'any(.notes[]; test("db"))'
podman rm --force --time 0 user mapped aside beside >/dev/null

# Labels and annotations: the starter's match, the image's do not, nor what both say alike.
by_label=$(coffer grant other --label app=image)
by_annotation=$(coffer grant other --label team=image)
by_both=$(coffer grant other --label both=same)
coffer grant db --label team=blue --label own=yes >/dev/null
start labelled --label own=yes --label both=same --annotation team=blue
shows labelled value
for grant in "$by_label" "$by_both"; do
	explains labelled "$grant" '(.matches | not) and (.reason | test("came with the image"))'
done
explains labelled "$by_annotation" '(.matches | not) and (.reason | test("team is blue"))'
start unlabelled
lacks_db unlabelled
explains unlabelled "$by_annotation" '(.matches | not) and (.reason | test("came with the image"))'
succeeds coffer explain unlabelled --json
says_json 'any(.facts[]; .name == "label zone" and .source == "the image")'
says_json 'any(.facts[]; .name == "label tier" and .source == "the image")'

# By the beginning of its id, where that is the only one.
id=$(podman inspect --format '{{.Id}}' unlabelled)
succeeds podman --hooks-dir "$D/no-hooks" run --detach --name unhooked --label own=yes localhost/shop:1 sleep infinity
short=$(podman inspect --format '{{.Id}}' unhooked)
succeeds coffer explain "${short:0:12}" --json
says_json 'any(.facts[]; .name == "container" and .value == "unhooked")'

# Its database moved on to the new kind: the labels are not known and match nothing, and explain says so.
database=$PODMAN/store/libpod/bolt_state.db
mv "$database" "${database%/*}/db.sql"
succeeds coffer explain "$short" --json
mv "${database%/*}/db.sql" "$database"
says_json 'any(.notes[]; test("SQLite") and test("--annotation"))'
says_json 'any(.facts[]; .name == "label own") | not'
# Its image is gone from the lists: whose the labels are is not known.
images=$PODMAN/store/overlay-images/images.json
mv "$images" "$D/images.json"
succeeds coffer explain "$short" --json
mv "$D/images.json" "$images"
says_json 'any(.notes[]; test("engine_roots"))'
says_json 'all(.facts[] | select(.name == "label own"); .source == "the image")'
succeeds coffer explain "$short" --json
says_json 'any(.facts[]; .name == "label own" and .source != "the image")'

# Digests are the image's own, whatever its tags do; a tag is a name that moves.
digest=$(podman image inspect --format '{{.Digest}}' localhost/shop:1)
config=$(podman image inspect --format '{{.Id}}' localhost/shop:1)
revoked=$(coffer grants --json | jq -r '.. | .id? // empty')
for grant in $revoked; do
	coffer revoke "$grant" >/dev/null
done
by_digest=$(coffer grant db --image "localhost/shop@$digest")
by_config=$(coffer grant db --image "sha256:$config" --as by-config)
by_tag=$(coffer grant db --image localhost/shop:1 --allow-tag --as by-tag)
coffer grant db --image localhost/shop:1 --as never >/dev/null 2>&1 || true
shows unlabelled value
succeeds podman exec unlabelled ls /run/secrets
says $'by-config\nby-tag\ndb'
explains unlabelled "$by_digest" '.matches and .strength == "strong"'
explains unlabelled "$by_config" '.matches and .strength == "strong"'
explains unlabelled "$by_tag" '.matches and .strength == "weak"'
succeeds podman tag localhost/base:1 localhost/shop:1
start moved
succeeds podman exec moved ls /run/secrets
says by-tag

# A broker that comes back knows them as before; a name that is used again is another container.
stop_broker KILL
start_broker --keyfile "$D/key"
shows unlabelled value
explains unlabelled "$by_digest" .matches
succeeds coffer explain unlabelled --json
instance=$(jq -r .instance "$D/out")
podman rm --force --time 0 unlabelled >/dev/null
start unlabelled
succeeds coffer explain unlabelled --json
[[ $(jq -r .instance "$D/out") != "$instance" ]] || fail "the same instance"
explains unlabelled "$by_digest" '.matches | not'
says_json "any(.facts[]; .name == \"id\" and .value == \"$id\") | not"

# A root folder in place of an image: no image, so all labels are its starter's.
coffer grant db --label app=image >/dev/null
succeeds podman run --detach --name bare --label app=image --rootfs "$PODMAN/rootfs" sleep infinity
shows bare value
succeeds coffer explain bare --json
says_json 'any(.facts[]; .name == "image") | not'
