#!/usr/bin/env bash
# Every man page passes mandoc's checks without a warning.
set -u
if ! command -v mandoc >/dev/null; then
    echo "skipped: mandoc is not installed"
    exit 77
fi
cd "$PGK_SOURCE_DIR/man" || exit 1
status=0
for page in *.[0-9]; do
    mandoc -Tlint -Wwarning "$page" || status=1
done
exit $status
