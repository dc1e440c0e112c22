#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Wrong names, sizes, options and files at the command line: one sentence on stderr, the right status, and nothing
# lost or half done.
. "$(dirname "$0")/lib.sh"

unsealed_broker
put kept value

# Names.
long=$(printf 'a%.0s' {1..256})
for name in '' Upper .hidden a/.. ../a a//b /a a/ 'a b' $'a\nb' $'a\x1b[31m' a/b/c/d/e/f/g/h/i "$long" _x é; do
	fails 1 'name' coffer put "$name" --file /etc/hostname
done
fails 2 'no option -x' coffer put -x
fails 1 'name' coffer put --file /etc/hostname -- -x
fails 2 'see: coffer help put' coffer put
fails 2 'no command nosuch' coffer nosuch
fails 2 'no option --nosuch' coffer ls --nosuch
succeeds coffer put "${long:0:255}" --file /etc/hostname
succeeds coffer rm "${long:0:255}"

# Sizes: 0 bytes and 1 MiB are values, one byte more is none.
succeeds coffer put empty --file /dev/null
succeeds coffer get empty
[[ ! -s $D/out ]] || fail "an empty value came back with content"
head -c 1048576 /dev/urandom >"$D/mebibyte"
succeeds coffer put large --file "$D/mebibyte"
coffer get large | cmp - "$D/mebibyte" || fail "1 MiB came back changed"
echo >>"$D/mebibyte"
fails 1 '1 MiB|1048576|too (large|long|big)' coffer put large --file "$D/mebibyte"
succeeds coffer info large --json
says_json '.secret.version == 1'

# Files.
fails 1 "$D/nosuch" coffer put kept --file "$D/nosuch"
fails 1 'directory|folder|file' coffer put kept --file "$D"
fails 1 "$D/nosuch" coffer put one=@/etc/hostname two=@"$D/nosuch"
fails 1 'not.*there|no secret|not found|unknown' coffer get one

# All or nothing; compare-and-set.
fails 1 'name' coffer put one=@/etc/hostname 'Bad Name'=@/etc/hostname
fails 1 'not.*there|no secret|not found|unknown' coffer get one
fails 1 'version' coffer put kept --file /etc/hostname --if-version 7
fails 1 'version|exists' coffer put kept --file /etc/hostname --if-version 0
succeeds coffer put kept --file /etc/hostname --if-version 1
says 'kept 2'
for bad in -1 x 99999999999999999999 1.5; do
	fails 2 'version' coffer put kept --file /etc/hostname --if-version "$bad"
done
fails 1 'version' coffer get kept --version 9
fails 1 'version' coffer rollback kept --to 9
succeeds coffer rollback kept --to 1
succeeds coffer get kept
says value
succeeds coffer info kept --json
says_json '.secret.version == 3'

# Expiry and labels.
for bad in yesterday -1d 0d 1e3d ''; do
	run coffer put kept --file /etc/hostname --expires "$bad"
	[[ $status -eq 1 || $status -eq 2 ]] || fail "--expires '$bad' ended with $status"
done
for bad in novalue =x; do
	run coffer put kept --file /etc/hostname --label "$bad"
	[[ $status -eq 1 || $status -eq 2 ]] || fail "--label '$bad' ended with $status"
done

# After all that nothing else is in the store, and numbers go on after a removal.
succeeds coffer ls --json
says_json '[.secrets[].name] == ["empty", "kept", "large"]'
succeeds coffer rm kept
fails 1 'not.*there|no secret|not found|unknown' coffer get kept
fails 1 'not.*there|no secret|not found|unknown' coffer rm kept
succeeds coffer put kept --file /etc/hostname
says 'kept 4'

# An argument that holds a value is refused: it would be in argv for everyone to see.
fails 2 'command line' coffer put kept=value
fails 2 'command line' coffer put kept value
