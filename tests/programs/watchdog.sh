#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Python's watchdog, with inotify and by polling, notices every rotation, and the program reads the new value.
. "$(dirname "$0")/programs-lib.sh"

unsealed_broker
put db value-1
succeeds coffer grant db --container web
mkdir -p "$D/web.bundle/rootfs/srv"
cat >"$D/web.bundle/rootfs/srv/watch.py" <<'PYTHON'
import sys
from watchdog.events import FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.polling import PollingObserver


class Handler(FileSystemEventHandler):
    def on_any_event(self, event):
        if event.is_directory or event.event_type in ("opened", "closed"):
            return
        try:
            value = open("/run/secrets/db").read()
        except FileNotFoundError:
            value = "gone"
        print(event.event_type, getattr(event, "dest_path", "") or event.src_path, value, flush=True)


observer = Observer() if sys.argv[1] == "inotify" else PollingObserver(timeout=0.1)
observer.schedule(Handler(), "/run/secrets", recursive=True)
observer.start()
print("watching", flush=True)
observer.join()
PYTHON
debian_container web

for name in inotify polling; do
	start_program $name web /usr/bin/python3 /srv/watch.py $name
	expect $name '^watching$'
done
for ((version = 2; version <= ROTATIONS + 1; version++)); do
	put db value-$version
	for name in inotify polling; do
		expect $name "^(created|modified|moved) $secrets/db value-$version\$"
	done
done
succeeds coffer rm db
for name in inotify polling; do
	expect $name "^deleted $secrets/db gone\$"
	echo "$name: $(cut -d ' ' -f 1 "${program_log[$name]}" | sort | uniq -c | tr '\n' ' ')"
done
