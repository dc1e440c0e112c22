#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A second broker on the same store, or on the same runtime folder, says so and ends; the first goes on.
. "$(dirname "$0")/lib.sh"

unsealed_broker
put db value
second() { # options
	"$COFFER_BUILD/broker/cofferd" --config "$D/config.json" --foreground "$@"
}
mkdir -p "$D/other-run" "$D/other-state"
export ASAN_OPTIONS=$DAEMON_ASAN
fails 1 "another cofferd.*($STATE|$RUN)|($STATE|$RUN).*another cofferd" second --state-dir "$STATE" --runtime-dir "$D/other-run"
fails 1 "another cofferd.*$RUN|$RUN.*another cofferd" second --state-dir "$D/other-state" --runtime-dir "$RUN"
succeeds coffer get db
says value
put db newer
succeeds coffer get db
says newer
