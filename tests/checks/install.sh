#!/usr/bin/env bash
# Installs into a scratch prefix, then builds and runs consumers out of tree: pkg-config, CMake package, C++.
. "$(dirname "$0")/lib.sh"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
prefix=$scratch/prefix
flags=()
[ -z "$PGK_SANITIZE" ] || flags=(-fsanitize="$PGK_SANITIZE")
consumer=$PGK_SOURCE_DIR/tests/consumer

cmake --install "$PGK_BUILD_DIR" --prefix "$prefix" >"$scratch/log" || { cat "$scratch/log"; exit 1; }
pkgconfig=$(dirname "$(find "$prefix" -name pgkeeper.pc)")
export PKG_CONFIG_PATH=$pkgconfig
version=$(pkg-config --modversion pgkeeper)
migrations=$(pkg-config --variable=migrations pgkeeper)
[ -s "$migrations/0001_leadership.up.sql" ] || complain "migrations were not installed" "$migrations"

# What the installed README points to is there.
doc=$(dirname "$(find "$prefix" -name README.md -path '*/pgkeeper/README.md')")
while read -r link; do
    [ -e "$doc/$link" ] || complain "README.md points to what is not installed" "$link"
done < <(grep -oE '\]\([^)#:]+' "$doc/README.md" | cut -c3-)

# expect WHAT PROGRAM: it runs and says the version of the package.
expect() {
    local said
    said=$("$2" 2>&1) || said="failed: $said"
    [ "$said" = "pgkeeper $version: ok" ] || complain "consumer by $1" "$said"
}

# The pkg-config words are many on purpose.
# shellcheck disable=SC2046
$CC -std=c11 -Wall -Werror "${flags[@]}" "$consumer/consumer.c" -o "$scratch/by_pkg_config" \
    $(pkg-config --cflags --libs pgkeeper) -Wl,-rpath,"$(pkg-config --variable=libdir pgkeeper)"
expect pkg-config "$scratch/by_pkg_config"

# The examples, as their readers build them.
while read -r -a example; do
    # shellcheck disable=SC2046
    complain "${example[*]} by pkg-config" "$($CC -std=c11 -D_GNU_SOURCE -Wall -Werror "${flags[@]}" "${example[@]/#/examples/}" \
        -o "$scratch/example" $(pkg-config --cflags --libs pgkeeper) -pthread 2>&1 || true)"
done <<'EXAMPLES'
master.c jobs.c files.c
embedded.c jobs.c files.c
follower.c
event_loop.c
EXAMPLES

# With the build's own generator: cmake's default is make, which need not be installed.
generator=$(sed -n 's/^CMAKE_GENERATOR:INTERNAL=//p' "$PGK_BUILD_DIR/CMakeCache.txt")
if ! { cmake -G "$generator" -S "$consumer" -B "$scratch/build" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$CC" \
    -DCMAKE_C_FLAGS="${flags[*]}" -DCMAKE_CXX_FLAGS="${flags[*]}" >"$scratch/log" 2>&1 &&
    cmake --build "$scratch/build" >>"$scratch/log" 2>&1; }; then
    cat "$scratch/log"
    exit 1
fi
expect "find_package in C" "$scratch/build/consumer"
expect "find_package in C++" "$scratch/build/consumer_cpp"
complain "migrations directory of the CMake package" \
    "$(grep -q "^PGK_FOUND_MIGRATIONS.*=$prefix/" "$scratch/build/CMakeCache.txt" || echo "not below $prefix")"

if [ -x "$PGK_BUILD_DIR/src/cli/pgkeeper" ]; then
    said=$("$prefix/bin/pgkeeper" version 2>&1) || said="failed: $said"
    case $said in
        *"$version"*) ;;
        *) complain "the installed command" "$said" ;;
    esac
    complain "completion or unit of the command" "$(for file in share/bash-completion/completions/pgkeeper lib/systemd/system/pgkeeper-run@.service; do
        [ -s "$prefix/$file" ] || echo "no $file"; done)"
fi
finish
