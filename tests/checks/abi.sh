#!/usr/bin/env bash
# What programs built against the last release rely on is still there: compares the library with that of the newest tag
# vX.Y.Z (or PGK_ABI_BASE, any commit). Exported names always; with abidiff, types and signatures too. A break is allowed
# with another SONAME only. As long as nothing is released there is nothing to compare with, and the check says so; that
# it would find a break is tried first, on two libraries of a few lines.
. "$(dirname "$0")/lib.sh"
[ -z "$PGK_SANITIZE" ] || { echo "skipped: a sanitizer's build is not what is released"; exit 77; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

soname() { readelf -d "$1" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p'; }
names() { nm -D --defined-only "$1" | awk '$2 ~ /[TDBRW]/ { sub(/@.*/, "", $3); print $3 }' | sort; }

# breaks OLD NEW [HEADERS OF OLD, OF NEW]: prints what programs built against OLD would miss in NEW. With the headers,
# types that are not in them are nobody's business.
breaks() {
    [ "$(soname "$1")" = "$(soname "$2")" ] || return 0
    comm -23 <(names "$1") <(names "$2") | sed 's/^/removed: /'
    if command -v abidiff >/dev/null; then
        # Bit 8 of the code: incompatible for certain; bit 4: changed, to be looked at.
        local code=0 headers=()
        [ $# -lt 4 ] || headers=(--headers-dir1 "$3" --headers-dir2 "$4")
        abidiff --no-added-syms "${headers[@]}" "$1" "$2" >"$scratch/abidiff" 2>&1 || code=$?
        [ $((code & 15)) = 0 ] || cat "$scratch/abidiff"
    fi
}

# tiny NAME SONAME CODE
tiny() { "$CC" -g -shared -fPIC -x c -o "$scratch/$1" -Wl,-soname,"$2" - <<<"$3"; }
tiny old.so tiny.so.0 'struct s { int a; }; int one(struct s *s) { return s->a; } int two(void) { return 2; }'
tiny fewer.so tiny.so.0 'struct s { int a; }; int one(struct s *s) { return s->a; }'
tiny more.so tiny.so.0 'struct s { int a; }; int one(struct s *s) { return s->a; } int two(void) { return 2; } int three(void) { return 3; }'
tiny other.so tiny.so.0 'struct s { long b; int a; }; int one(struct s *s) { return s->a; } int two(void) { return 2; }'
tiny next.so tiny.so.1 'int three(void) { return 3; }'
[ -n "$(breaks "$scratch/old.so" "$scratch/fewer.so")" ] || complain "not found" "a function that was removed"
complain "not a break" "$(breaks "$scratch/old.so" "$scratch/more.so")"
complain "allowed by another SONAME" "$(breaks "$scratch/old.so" "$scratch/next.so")"
if command -v abidiff >/dev/null; then
    [ -n "$(breaks "$scratch/old.so" "$scratch/other.so")" ] || complain "not found by abidiff" "a struct that was changed"
else
    echo "no abidiff here (Debian: abigail-tools): names only, not types"
fi
[ "$failed" = 0 ] || finish

git_here() { git -c safe.directory="$PGK_SOURCE_DIR" "$@"; }
base=${PGK_ABI_BASE:-$(git_here tag --list 'v[0-9]*' --sort=-version:refname 2>/dev/null | head -n 1)}
if [ -z "$base" ]; then
    echo "skipped: nothing is released yet, so there is no earlier library to compare with"
    exit 77
fi
mkdir "$scratch/base"
git_here archive "$base" | tar -x -C "$scratch/base"
{ cmake -S "$scratch/base" -B "$scratch/build" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DPGK_TESTS=OFF -DCMAKE_C_COMPILER="$CC" &&
    cmake --build "$scratch/build" --target pgkeeper; } >"$scratch/log" 2>&1 || { cat "$scratch/log"; exit 1; }
complain "programs built against $base would miss" "$(breaks "$scratch/build/src/libpgkeeper.so" "$PGK_BUILD_DIR/src/libpgkeeper.so" \
    "$scratch/base/include/pgkeeper" include/pgkeeper)"
echo "compared with $base"
finish
