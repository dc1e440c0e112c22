# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Pages of documentation that a scenario follows: sourced behind lib.sh.

docs=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../docs" && pwd)

# blocks PAGE LANGUAGE [PATTERN]: the fenced blocks of a page in that language, of which a line matches, one behind the
# other.
blocks() {
	awk -v language="$2" -v pattern="${3:-.}" '
		/^```/ && inside { if (text ~ pattern) printf "%s", text; inside = 0; next }
		/^```/ { inside = 1; wanted = $0 == "```" language; text = ""; next }
		inside && wanted { text = text $0 "\n" }' "$docs/$1"
}

manifest_json() { # FILE of docs/examples/kubernetes
	/usr/bin/python3 -c 'import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)' \
		"$docs/examples/kubernetes/$1"
}

# page PAGE PATTERN: runs the blocks of commands of a page of which a line matches, as a user would who has this build,
# and is in $D.
page() {
	blocks "$1" sh "$2" >"$D/page.sh"
	[[ -s $D/page.sh ]] || fail "docs/$1 has no commands with $2"
	succeeds env PATH="$COFFER_BUILD/client:$PATH" /bin/bash -euc 'cd "$1"; . ./page.sh' page "$D"
}
