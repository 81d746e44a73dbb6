#!/usr/bin/env bash
# Every function of the library that talks to the server is called by a test that ctest runs under the application role
# (see tests/CMakeLists.txt). Those left out need no server.
set -eu
cd "$PGK_SOURCE_DIR"
pure='^pgk_(config|uuid|status|token|blob_key|host_port|embedded)_|^pgk_(version|service_component)$'
modules=$(tr '\n' ' ' <tests/CMakeLists.txt | sed -E 's/.*foreach\(module IN ITEMS ([a-z_ ]*)\).*/\1/')
[ "$(wc -w <<<"$modules")" -gt 10 ] || { echo "the list in tests/CMakeLists.txt was not read: $modules"; exit 1; }
files=(tests/lib/*.c)
for module in $modules; do
    files+=("tests/postgres/test_$module.c")
done
missing=$(comm -23 <(sed -n 's/^ *\(pgk_[a-z0-9_]*\);$/\1/p' src/libpgkeeper.map | grep -vE "$pure" | sort -u) \
    <(grep -ohE '\bpgk_[a-z0-9_]+' "${files[@]}" | sort -u))
[ -z "$missing" ] || { echo "never called as the application role:" "$missing"; exit 1; }
echo "$(sed -n 's/^ *\(pgk_[a-z0-9_]*\);$/\1/p' src/libpgkeeper.map | grep -cvE "$pure") functions, $(wc -w <<<"$modules") tests"
