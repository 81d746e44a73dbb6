#!/usr/bin/env bash
# docs/schema.md is what the catalog and the rules give; `./dev draw` writes it anew.
. "$(dirname "$0")/lib/common.sh"
expect 0 migrate up
bash "$PGK_SOURCE_DIR/tests/lib/draw.sh" >"$work/drawn"
diff "$PGK_SOURCE_DIR/docs/schema.md" "$work/drawn" >"$work/out" || failed "docs/schema.md (<) is not what is drawn (>): run ./dev draw"
