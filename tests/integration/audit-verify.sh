#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `coffer audit verify` passes, and fails on a changed, removed or reordered line and on a cut tail; it names the
# first bad line.
. "$(dirname "$0")/lib.sh"

broker_options=(--keyfile "$D/key")
unsealed_broker
for n in 1 2 3 4 5 6; do
	put "name-$n" "$n"
done
succeeds coffer audit verify
stop_broker
start_broker
succeeds coffer audit verify
stop_broker
cp -a "$STATE" "$D/good"
good=$STATE/audit/log.jsonl
lines=$(wc -l <"$good")
[[ $lines -ge 8 ]] || fail "only $lines lines in the log"

tampered() { # PATTERN SED-SCRIPT
	rm -rf "$STATE"
	cp -a "$D/good" "$STATE"
	sed -i "$2" "$good"
	! cmp -s "$good" "$D/good/audit/log.jsonl" || fail "sed '$2' changed nothing"
	start_broker
	fails 1 "$1" coffer audit verify
	stop_broker
}
tampered 'line 5' '5s/name-/nane-/'
tampered 'line 5' '5s/T\([0-9]\)/T9/'
tampered 'line 5' 5d
tampered 'line 1' 1d
tampered 'line 5' '5{h;d};6{G}'
tampered 'line 6' '5p'
tampered 'cut|missing|head|end' '$d'
tampered 'cut|missing|head|end' "$((lines - 2)),\$d"

rm -rf "$STATE"
cp -a "$D/good" "$STATE"
start_broker
succeeds coffer audit verify
