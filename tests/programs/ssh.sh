#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# sshd with host key and authorized_keys in its mount, and ssh in another container with its private key in its own:
# both check owner and mode, and neither says a word. Another client key, and another host key, are taken up.
. "$(dirname "$0")/image-lib.sh"

host_key() {
	rm -f host_key
	ssh-keygen -q -t ed25519 -N '' -C host -f host_key
	echo "127.0.0.1 $(cat host_key.pub)" >known_hosts
}
client_key() {
	rm -f id
	ssh-keygen -q -t ed25519 -N '' -C app -f id
}
host_key
client_key

image bastion
image_files OpenSSH
mkdir -p "$root/run/sshd"
image deploy --user 1000:1000 --jq '.process.env += ["HOME=/home/app"]'
image_files OpenSSH
operator OpenSSH 1
starts bastion /usr/sbin/sshd -D -e
expect bastion 'Server listening on 0.0.0.0'
joins deploy bastion
run_container deploy
for name in host_key id; do
	succeeds coffer info ssh/$name
	grep -q 'private key  *yes' "$D/out" || fail "OpenSSH's key is not known as one: $(cat "$D/out")"
done

logs_in() { # with the client key of now
	local print
	succeeds in_container deploy ssh app@127.0.0.1 id -un
	says app
	[[ ! -s $D/err ]] || fail "ssh said: $(cat "$D/err")"
	print=$(ssh-keygen -lf id.pub | cut -d ' ' -f 2)
	expect bastion "Accepted publickey for app .*${print//+/[+]}"
}
logs_in
succeeds in_container deploy stat -c '%a %u' $secrets/id
says '400 1000'
succeeds in_container bastion stat -c '%a %u' $secrets/host_key $secrets/authorized_keys
says $'400 0\n444 0'

# The key before is refused, the new one is taken.
cp id id.before
client_key
operator OpenSSH 2
logs_in
install -o 1000 -m 400 id.before "$D/deploy.bundle/rootfs/home/app/before"
fails 255 'Permission denied \(publickey\)' in_container deploy ssh -F /dev/null -i /home/app/before \
	-o "UserKnownHostsFile=$secrets/known_hosts" app@127.0.0.1 id -un
expect bastion 'Connection closed by authenticating user app'

# Another host key: the server that starts anew for it has it, and ssh, which is strict, knows it.
host_key
operator OpenSSH 3
expect bastion 'Received SIGHUP; restarting'
expect bastion 'Server listening on 0.0.0.0'
logs_in
clean_log bastion

# ssh does look: a key of the same user's that others may read it refuses.
succeeds coffer revoke "$(coffer grants --json | jq -r '.grants[] | select(.name == "ssh/id").id')"
succeeds coffer grant ssh/id --container deploy --mode 0444
succeeds in_container deploy stat -c %a $secrets/id
says 444
run in_container deploy ssh-keygen -y -f $secrets/id
[[ $status -ne 0 ]] && grep -q 'UNPROTECTED PRIVATE KEY FILE' "$D/err" || fail "ssh took a key that all may read"
