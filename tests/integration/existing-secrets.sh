#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What /run/secrets held before stays visible beside ours: an image's files, an engine's mounts below it, a mount at
# the folder itself; also over rotations. A clash of names is refused, and both are named.
. "$(dirname "$0")/lib.sh"

unsealed_broker
put db value
succeeds coffer grant db --runtime runc
mkdir -p "$D/token" "$D/engine"
echo kubernetes-token >"$D/token/token"
echo from-the-engine >"$D/engine/engine-secret"

see() { # NAME
	reads "$1" /run/secrets/kubernetes.io/serviceaccount/token kubernetes-token
	reads "$1" /run/secrets/own own-file
	reads "$1" /run/secrets/folder/inner own-inner
}
bundle own --hook --mount "$D/token:/run/secrets/kubernetes.io/serviceaccount"
mkdir -p "$D/own.bundle/rootfs/run/secrets/folder"
echo own-file >"$D/own.bundle/rootfs/run/secrets/own"
echo own-inner >"$D/own.bundle/rootfs/run/secrets/folder/inner"
run_container own
see own
reads own /run/secrets/db value
for n in 1 2 3; do
	put db "rotated-$n"
	reads own /run/secrets/db "rotated-$n"
	see own
done
succeeds in_container own ls /run/secrets
says $'db\nfolder\nkubernetes.io\nown'

# The engine's own mount at the folder itself; attached by hook, and live.
bundle engine --hook --mount "$D/engine:/run/secrets"
run_container engine
reads engine /run/secrets/engine-secret from-the-engine
reads engine /run/secrets/db rotated-3
bundle live --mount "$D/engine:/run/secrets"
run_container live
succeeds coffer attach live
reads live /run/secrets/engine-secret from-the-engine
reads live /run/secrets/db rotated-3
succeeds coffer detach live
reads live /run/secrets/engine-secret from-the-engine
lacks live /run/secrets/db

# A clash: the container keeps its own, and both who looks and who explains is told.
bundle clash --hook
mkdir -p "$D/clash.bundle/rootfs/run/secrets"
echo its-own >"$D/clash.bundle/rootfs/run/secrets/db"
run_container clash
reads clash /run/secrets/db its-own
succeeds coffer ps --json
says_json 'any(.attachments[]; .container == "clash" and (.reason | test("^db ")))'
succeeds coffer explain clash --json
says_json 'any(.notes[]; test("^db .*own"))'
