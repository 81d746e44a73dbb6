#!/usr/bin/env bash
# The lists of keys in docs/configuration.md and pgkeeper-config(5) are those of the table in the sources.
. "$(dirname "$0")/lib.sh"
for page in docs/configuration.md man/pgkeeper-config.5; do
    complain "$page is not what the table makes: run ./dev keys" \
        "$("$PGK_BUILD_DIR/tests/test_config_pages" "$page" | diff "$page" - 2>&1 || true)"
done
finish
