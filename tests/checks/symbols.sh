#!/usr/bin/env bash
# The shared library exports exactly what the version script names and the headers declare.
. "$(dirname "$0")/lib.sh"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
library=$PGK_BUILD_DIR/src/libpgkeeper.so

sed -n 's/^    \(pgk_[a-z0-9_]*\);$/\1/p' src/libpgkeeper.map | sort >"$scratch/map"
nm -D --defined-only "$library" | awk '$2 ~ /[TDBRW]/ { sub(/@.*/, "", $3); print $3 }' | sort >"$scratch/library"
# A declaration starts with PGK_API; its name is the first pgk_ word that is followed by a parenthesis.
cat include/pgkeeper/*.h | tr '\n' ' ' | sed 's/PGK_API/\n&/g' | sed -n 's/^PGK_API[^(]*[ *]\(pgk_[a-z0-9_]*\)(.*/\1/p' |
    sort >"$scratch/headers"

[ -s "$scratch/headers" ] || { echo "no declarations found in include/pgkeeper"; exit 1; }
complain "src/libpgkeeper.map (<) and the headers (>) differ" "$(diff "$scratch/map" "$scratch/headers" || true)"
complain "src/libpgkeeper.map (<) and the library (>) differ" "$(diff "$scratch/map" "$scratch/library" || true)"
complain "SONAME" "$(readelf -d "$library" | grep SONAME | grep -v '\[libpgkeeper\.so\.0\]' || true)"
finish
