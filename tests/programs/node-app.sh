#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A Node program, as an ordinary user: serves HTTPS with certificate and key of its mount, watches their folder, and
# serves each next pair; it never reads a key that does not belong to the certificate, which it would end of.
. "$(dirname "$0")/image-lib.sh"

image app --user 1000:1000
image_files Node
new_pair 1001 tls
operator Node 1
starts app node /srv/app.js
expect app '^serving 1001$'
serves 1001 app 8443
for ((number = 1002; number <= 1001 + ROTATIONS; number++)); do
	new_pair $number tls
	operator Node 2
	expect app "^serving $number\$"
	serves $number app 8443
done
succeeds in_container app stat -c '%a %u' $secrets/tls/tls.key
says '400 1000'
clean_log app
