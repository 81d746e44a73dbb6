#!/usr/bin/env bash
# The .deb files: what is in them, what they depend on, that they are the same bytes each time; then they are installed
# by dpkg into a root of their own, which believes of all other packages what this machine has, and the example is
# built and run with nothing but what they brought. The commands that build are the Dockerfile's.
. "$(dirname "$0")/lib.sh"
for program in cpack dpkg dpkg-deb dpkg-shlibdeps file readelf strip; do
    command -v "$program" >/dev/null || { echo "FAILED: no $program here; ./dev setup installs it"; exit 1; }
done

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
root=$scratch/root log=$scratch/log build=$PGK_BUILD_DIR/package
version=$(sed -n 's/^project(pgkeeper VERSION \([0-9.]*\) .*/\1/p' CMakeLists.txt)
arch=$(dpkg --print-architecture)
multiarch=$(dpkg-architecture -qDEB_HOST_MULTIARCH)
soname=$(readelf -d "$PGK_BUILD_DIR/src/libpgkeeper.so" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')
lib=libpgkeeper${soname##*.so.} dev=libpgkeeper-dev tools=pgkeeper

loud() { # loud WORD...: runs it, and shows what it said only if it fails
    "$@" >"$log" 2>&1 || { cat "$log"; echo "FAILED: $*"; exit 1; }
}
export SOURCE_DATE_EPOCH=1700000000
# docker_line WORD: the line of the Dockerfile that runs it, for the directories here.
docker_line() {
    sed -n "s,^RUN \($1 .*\),\1,p" Dockerfile | sed "s,/build,$build,g; s,/packages,$scratch/one,g; s,/usr/local/bin/master,$scratch/master,"
}
packaging=$(docker_line cmake) linking=$(docker_line cc)
[ -n "$packaging" ] && [ -n "$linking" ] || complain "Dockerfile" "does not build as expected here"
loud sh -c "$packaging"
loud cpack --config "$build/CPackConfig.cmake" -B "$scratch/two"
debs=$scratch/one
deb() { echo "$debs/$1_${version}_$arch.deb"; }
complain "packages other than these three, of version $version" "$(cd "$debs" && comm -3 \
    <(printf '%s\n' "$lib" "$dev" "$tools" | sed "s/\$/_${version}_$arch.deb/" | sort) <(ls ./*.deb | sed 's,^\./,,' | sort))"
[ "$failed" = 0 ] || finish
complain "not the same bytes each time" "$(diff <(cd "$debs" && sha256sum ./*.deb) <(cd "$scratch/two" && sha256sum ./*.deb) || true)"

# Each install() names its component: cpack passes over those that do not.
loud cmake --install "$build" --component Unspecified --prefix "$scratch/nowhere"
complain "installed, but in no package: name a COMPONENT" "$(find "$scratch/nowhere" ! -type d 2>/dev/null || true)"

# Fields of control: field PACKAGE NAME REGEX.
field() {
    local got
    got=$(dpkg-deb -f "$(deb "$1")" "$2")
    grep -qE -- "$3" <<<"$got" || complain "$2 of $1" "\"$got\" does not match $3"
}
for package in $lib $dev $tools; do
    field $package Version "^${version//./\\.}\$"
    field $package Maintainer '^[^<]+ <[^@ ]+@[^@ ]+>$'
    field $package Description '^leader election and job stores in PostgreSQL, .{5,40}$'
    field $package Installed-Size '^[1-9]'
done
field $lib Depends 'libc6 \(>= .*libpq5 \(>= 1[45].*libssl.*libuuid1 '
field $lib Section '^libs$'
field $dev Depends "^$lib \(= ${version//./\\.}\)\$"
field $tools Depends "^$lib \(= ${version//./\\.}\), .*libpq5 "
complain "shlibs of $lib" "$(diff <(echo "libpgkeeper ${soname##*.so.} $lib (>= $version)") \
    <(dpkg-deb --ctrl-tarfile "$(deb $lib)" | tar -xO ./shlibs 2>/dev/null || dpkg-deb -I "$(deb $lib)" shlibs) || true)"

# Files: root's, below /usr, as Debian's policy wants them, each in one package.
for package in $lib $dev $tools; do
    dpkg-deb -c "$(deb $package)" >"$scratch/$package.list"
    complain "$package: owner or mode" "$(grep -vE '^(d|-)rw(xr-xr-x|-r--r--) root/root |^lrwxrwxrwx root/root ' "$scratch/$package.list" || true)"
    awk '!/^d/ { sub("^\\./", "/", $6); print $6 }' "$scratch/$package.list" | sort >"$scratch/$package.files"
    complain "$package: files elsewhere" "$(grep -vE '^/usr/(bin|include|lib|share)/' "$scratch/$package.files" || true)"
    for file in copyright changelog.gz; do
        grep -qx "/usr/share/doc/$package/$file" "$scratch/$package.files" || complain "$package lacks" "$file"
    done
    complain "$package: manual pages that are not compressed" "$(grep '/man/.*[0-9]$' "$scratch/$package.files" || true)"
done
complain "in two packages" "$(cat "$scratch"/{$lib,$dev,$tools}.files | sort | uniq -d)"
complain "what $lib has" "$(diff <(printf '%s\n' "/usr/lib/$multiarch/$soname" "/usr/lib/$multiarch/libpgkeeper.so.$version") \
    <(grep -v /share/doc/ "$scratch/$lib.files") || true)"
has() { # has PACKAGE FILE...
    local package=$1 file
    shift
    for file in "$@"; do
        grep -qxF "$file" "$scratch/$package.files" || complain "$package lacks" "$file"
    done
}
has $dev "/usr/lib/$multiarch/libpgkeeper.so" "/usr/lib/$multiarch/pkgconfig/pgkeeper.pc" /usr/include/pgkeeper/pgkeeper.h \
    "/usr/lib/$multiarch/cmake/pgkeeper/pgkeeper-config.cmake" /usr/share/man/man3/libpgkeeper.3.gz \
    /usr/share/pgkeeper/migrations/0001_leadership.up.sql
has $tools /usr/bin/pgkeeper /usr/share/pgkeeper/roles.sql /usr/share/man/man1/pgkeeper.1.gz /usr/share/man/man1/pgkeeper-kick.1.gz \
    /usr/share/pgkeeper/after_restore.sql /usr/share/doc/pgkeeper/README.md \
    /usr/share/bash-completion/completions/pgkeeper /usr/lib/sysusers.d/pgkeeper.conf
for unit in contrib/systemd/*.service; do
    has $tools "/usr/lib/systemd/system/$(basename "$unit")"
done

# Installed by dpkg. What there is of other packages it reads from this machine's list; the command without its
# library is refused.
mkdir -p "$root/var/lib/dpkg/updates" "$root/var/lib/dpkg/info" "$scratch/bin"
awk -v RS= -v ORS='\n\n' "!/^Package: ($lib|$dev|$tools)\n/" /var/lib/dpkg/status >"$root/var/lib/dpkg/status"
printf '#!/bin/sh\necho ldconfig >>"%s/ldconfig.ran"\n' "$scratch" >"$scratch/bin/ldconfig"
chmod +x "$scratch/bin/ldconfig"
install_debs() {
    PATH=$scratch/bin:/usr/sbin:/sbin:$PATH DPKG_FRONTEND_LOCKED='' \
        dpkg --root="$root" --force-not-root --force-script-chrootless --log=/dev/null "$@"
}
if install_debs -i "$(deb $tools)" >"$log" 2>&1; then
    complain "installed without its library" "$tools"
fi
grep -q "$tools depends on $lib (= $version)" "$log" || complain "dpkg said" "$(cat "$log")"
loud install_debs -i "$(deb $lib)" "$(deb $dev)" "$(deb $tools)"
[ -s "$scratch/ldconfig.ran" ] || complain "$lib does not run" ldconfig

binaries=("$root/usr/bin/pgkeeper" "$root/usr/lib/$multiarch/$soname")
for binary in "${binaries[@]}"; do
    name=$(basename "$binary")
    dynamic=$(readelf -dlW "$binary")
    grep -q 'FLAGS.*NOW' <<<"$dynamic" && grep -q GNU_RELRO <<<"$dynamic" || complain "not hardened" "$name"
    complain "$name: a path to libraries" "$(grep -iE 'R(UN)?PATH' <<<"$dynamic" || true)"
    complain "$name: not stripped" "$(readelf -SW "$binary" | grep -E '\.(symtab|debug_info)' || true)"
    complain "$name: paths of the machine that built it" "$(grep -acF "$PGK_SOURCE_DIR" "$binary" | grep -v '^0$' || true)"
done
readelf -h "${binaries[0]}" | grep -q 'Type:.*DYN' || complain "not position-independent" pgkeeper

# From here on nothing but what was installed.
export LD_LIBRARY_PATH=$root/usr/lib/$multiarch PKG_CONFIG_LIBDIR=$root/usr/lib/$multiarch/pkgconfig PATH=$root/usr/bin:$PATH
complain "version of the command" "$(pgkeeper version | grep -F "$version" >/dev/null || pgkeeper version)"
complain "version for pkg-config" "$(diff <(echo "$version") <(pkg-config --modversion pgkeeper 2>&1) || true)"
complain "the completion is not what the command prints" \
    "$(diff "$root/usr/share/bash-completion/completions/pgkeeper" <(pgkeeper completion bash) || true)"
complain "bash does not take the completion" "$(bash -c ". $root/usr/share/bash-completion/completions/pgkeeper && complete -p pgkeeper" 2>&1 |
    grep -v '^complete .* pgkeeper$' || true)"
for unit in contrib/systemd/*.service; do
    complain "the unit runs another command than what was installed" \
        "$(diff "$unit" "$root/usr/lib/systemd/system/$(basename "$unit")" || true)"
done
complain "the units run as a user whom nobody makes" "$(for user in $(sed -n 's/^User=//p' "$root"/usr/lib/systemd/system/pgkeeper*); do
    grep -q "^u $user " "$root/usr/lib/sysusers.d/pgkeeper.conf" || echo "$user"; done)"
examples=$root/usr/share/doc/pgkeeper/examples
(cd "$examples/.." && loud sh -c "$linking")
complain "the example runs with" "$(ldd "$scratch/master" | grep libpgkeeper | grep -vF "$root/" || true)"
generator=$(sed -n 's/^CMAKE_GENERATOR:INTERNAL=//p' "$PGK_BUILD_DIR/CMakeCache.txt")
loud cmake -G "$generator" -S tests/consumer -B "$scratch/consumer" -DCMAKE_PREFIX_PATH="$root/usr" -DCMAKE_C_COMPILER="$CC"
loud cmake --build "$scratch/consumer" --target consumer
complain "a project with find_package" "$("$scratch/consumer/consumer" | grep -vx "pgkeeper $version: ok" || true)"
[ "$failed" = 0 ] || finish
loud "${PGK_TEST_WITH_SERVER:-$PGK_BUILD_DIR/tests/test_with_server}" bash tests/lib/packaged_masters.sh "$scratch" "$root"

loud install_debs --purge $dev $tools $lib
complain "left behind" "$(find "$root/usr" ! -type d 2>/dev/null || true)"
finish
