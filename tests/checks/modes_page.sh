#!/usr/bin/env bash
# The table of docs/modes.md is that of the declarations of the conformance suite.
. "$(dirname "$0")/lib.sh"
page=docs/modes.md
complain "$page is not what the declarations make: run ./dev modes" \
    "$("$PGK_BUILD_DIR/tests/test_conformance" --page "$page" | diff "$page" - 2>&1 || true)"
finish
