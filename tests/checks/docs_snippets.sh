#!/usr/bin/env bash
# The C in the documents (```c blocks) compiles against include/ without a warning; a whole program is
# linked with the library as well.
set -eu
cc=${CC:-cc} library=$PGK_BUILD_DIR/src/libpgkeeper.so
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags=(-Wall -Wextra -Wconversion -Wshadow -Werror -I "$PGK_SOURCE_DIR/include")
[ -z "${PGK_SANITIZE:-}" ] || flags+=("-fsanitize=$PGK_SANITIZE") # as the library it is linked with
read -ra libpq <<<"$(pkg-config --cflags libpq)"

cd "$PGK_SOURCE_DIR"
awk -v dir="$work" '
    FNR == 1 { count = 0 }
    /^```/ {
        inside = !inside
        out = ""
        if (inside && $0 == "```c") {
            name = FILENAME
            gsub(/[^A-Za-z0-9]/, "_", name)
            out = dir "/" name "_" ++count ".c"
        }
        next
    }
    out != "" { print > out }' README.md docs/*.md

programs=0 parts=0
for file in "$work"/*.c; do
    if grep -q '^int main(' "$file"; then
        "$cc" "${flags[@]}" "${libpq[@]}" "$file" "$library" -o "${file%.c}"
        programs=$((programs + 1))
    else
        "$cc" "${flags[@]}" "${libpq[@]}" -c "$file" -o "${file%.c}.o"
        parts=$((parts + 1))
    fi
done
echo "$programs programs, $parts parts"
[ "$programs" -ge 1 ] && [ "$parts" -ge 1 ] && [ -e "$work/README_md_1.c" ]
