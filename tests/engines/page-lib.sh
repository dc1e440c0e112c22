# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Pages of docs/ as they are followed line by line, sourced after lib.sh. Blocks fenced as ```sh are run, one after the
# other, in one shell; what a block prints has to look like the block fenced as ```text behind it, if there is one, in
# which … stands for anything. Paths of an installation are this scenario's.

# page_blocks FILE KIND: writes $D/page/KIND.N and, where there is one, the text behind as $D/page/KIND.N.text.
page_blocks() {
	rm -rf "$D/page"
	mkdir -p "$D/page"
	awk -v out="$D/page/$2" -v kind="$2" -v run="$RUN" '
		/^```/ && inside {
			inside = 0
			last = file ~ /[0-9]$/ ? file : ""
			if (file)
				close(file)
			next
		}
		/^```/ {
			inside = 1
			file = ""
			if ($0 == "```" kind) {
				file = sprintf("%s.%02d", out, ++n)
				printf "" >file
			} else if ($0 == "```text" && last) {
				file = last ".text"
			}
			last = ""
			next
		}
		inside && file { gsub(" /run/coffer", " " run); print >file }
		!inside && NF { last = "" }
	' "$1"
}

# page_agrees GOT WANTED: as the eye compares, whatever stands between two columns.
page_agrees() {
	python3 - "$1" "$2" <<'END'
import re, sys
got, wanted = (re.sub(r"[ \t]+", " ", open(path, encoding="utf-8").read()).strip() for path in sys.argv[1:])
pattern = ".*?".join(re.escape(part) for part in wanted.split("…"))
sys.exit(re.fullmatch(pattern, got, re.S) is None)
END
}

# page_run FILE KIND [COMMAND...]: every block; COMMAND... is the shell that runs them, default this one.
page_run() {
	local page=$1 kind=$2 block count=0
	page_blocks "$page" "$kind"
	for block in "$D/page/$kind".[0-9][0-9]; do
		count=$((count + 1))
		# shellcheck disable=SC1090
		(cd "$D/page" && . "$block") >"$D/page/out" 2>"$D/page/err" </dev/null ||
			fail "$(cat "$block") ended with an error: $(cat "$D/page/out" "$D/page/err")"
		[[ ! -e $block.text ]] || page_agrees "$D/page/out" "$block.text" ||
			fail "$(cat "$block") printed: $(cat "$D/page/out")"
	done
	[[ $count -gt 0 ]] || fail "$page has no block fenced as $kind"
}
