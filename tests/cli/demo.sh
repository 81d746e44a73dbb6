#!/usr/bin/env bash
# The demo as a user runs it: all of it happens, it fits a terminal, and nothing stays behind, also after ^C.
# Its server is its own; the one this case is given is not used.
set -euo pipefail
source_dir=$1
out=$(mktemp)
demo=

fail() {
    echo "not ok: $*" >&2
    cat "$out" >&2
    exit 1
}

leftovers() {
    local dir
    for dir in "$TMPDIR"/*; do
        if [ -e "$dir" ]; then echo "$dir"; fi
    done
}

# A directory of this case alone, short enough for a socket and open to the user that the server runs as.
TMPDIR=$(mktemp -d /tmp/pgkd.XXXXXX)
chmod 1777 "$TMPDIR"
export TMPDIR
trap 'rm -rf "$out" "$TMPDIR"; [ -z "$demo" ] || kill -KILL -- "-$demo" 2>/dev/null || true' EXIT

"$source_dir/examples/demo.sh" </dev/null >"$out" 2>&1 || fail "the demo failed with exit code $?"
grep -q 'PGK_ERR_FENCED' "$out" || fail "no refused write"
grep -q 'has fetched the file in' "$out" && grep -q 'the key of its 67108864 bytes' "$out" || fail "no blob"
grep -q 'all of it happened' "$out" || fail "no good end"
long=$(awk 'length > 80' "$out")
[ -z "$long" ] || fail "lines over 80 columns: $long"
[ -z "$(leftovers)" ] || fail "left behind: $(leftovers)"

# A file of the user's own, whatever its name and bytes.
head -c 70001 /dev/urandom >"$TMPDIR/a graph.bin"
"$source_dir/examples/demo.sh" "$TMPDIR/a graph.bin" </dev/null >"$out" 2>&1 || fail "the demo failed with exit code $? on a binary file"
grep -q 'of 70001$' "$out" && grep -q ' 70001 bytes, as wc says' "$out" || fail "it did not run that file"
grep -q 'the key of its 70001 bytes' "$out" && grep -q 'has fetched the file in' "$out" || fail "that file is not the blob"
rm "$TMPDIR/a graph.bin"
code=0
"$source_dir/examples/demo.sh" "$TMPDIR/missing" >"$out" 2>&1 || code=$?
[ "$code" = 2 ] && grep -q 'missing is not a readable file' "$out" || fail "a missing file ends with $code"

# In the middle of the fourth step the terminal sends SIGINT to all of them.
set -m
"$source_dir/examples/demo.sh" </dev/null >"$out" 2>&1 &
demo=$!
set +m
deadline=$((SECONDS + 60))
until grep -q frozen "$out"; do
    ((SECONDS < deadline)) || fail "the demo did not get to its fourth step"
    sleep 0.05
done
kill -INT -- "-$demo"
code=0
wait "$demo" || code=$?
((code == 130)) || fail "after SIGINT the exit code is $code"
# The signal goes to all at once: the script may be removing its things still when its server has ended.
deadline=$((SECONDS + 20))
until [ -z "$(leftovers)" ]; do
    ((SECONDS < deadline)) || fail "left behind after SIGINT: $(leftovers)"
    sleep 0.05
done
for status in /proc/[0-9]*/stat; do
    # Field 3 is the state, 5 the process group. A zombie is dead; init reaps it when it comes to it.
    { read -r _ _ state _ group _ <"$status"; } 2>/dev/null || continue
    [ "$group" != "$demo" ] || [ "$state" = Z ] || fail "process ${status//[!0-9]/} stayed behind after SIGINT"
done
demo=
echo ok
