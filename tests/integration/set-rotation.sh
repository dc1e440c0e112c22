#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The files of one granted prefix rotate as one: processes that open and read a certificate and its key, one behind the
# other and as fast as they can, never see files of two rotations in one pass, and no open fails. In any order of the
# files, with nested names, in processes new for each pass, with two threads, on events.
. "$(dirname "$0")/lib.sh"
. "$here/set-lib.sh"
ROTATIONS=200

write_config '.audit_when_full = "serve"' # these readers open more than the log of an ordinary container takes
unsealed_broker
succeeds coffer grant tls/ --container web
rotate 0 tls/cert tls/key tls/ca/root tls/ca/deep/chain
set_container web

start_reader loop web loop tls/cert tls/key
start_reader back web loop tls/key tls/cert
start_reader nested web loop tls/ca/deep/chain tls/cert tls/ca/root tls/key
start_reader fork web fork tls/cert tls/key
start_reader thread web thread tls/cert tls/key tls/ca/root
start_reader watch web watch tls/cert tls/key
for ((i = 1; i <= ROTATIONS; i++)); do
	rotate $i tls/cert tls/key tls/ca/root tls/ca/deep/chain
done
end_readers web $ROTATIONS 20
