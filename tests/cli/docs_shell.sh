#!/usr/bin/env bash
# docs/getting-started.md as a newcomer follows it: its ```sh blocks in one shell, top to bottom, in an empty directory,
# with nothing but what an installation brought; its ```c block saved as it says. The lines of a ```text block ("..."
# stands for anything) are among what the block before it printed. Then README in the same way.
. "$(dirname "$0")/lib/common.sh"
[ -z "$PGK_SANITIZE" ] || { echo "skipped: a newcomer has no sanitizer's build"; exit 77; }
document=$PGK_SOURCE_DIR/docs/getting-started.md

cmake --install "$PGK_BUILD_DIR" --prefix "$work/prefix" >"$work/log" || failed "cmake --install"
library=$(dirname "$(find "$work/prefix" -name 'libpgkeeper.so')")
mkdir "$work/here"
# One script of all blocks, which says where each begins.
awk -v here="$work/here" '
    /^```/ {
        if (kind == "") { kind = substr($0, 4); if (kind == "sh") print "echo \"=== block " ++block "\"" }
        else kind = ""
        next
    }
    kind == "sh" { print }
    kind == "c" { print > (here "/master.c") }
    kind == "text" { print block "\t" $0 > (here "/../expected") }' "$document" >"$work/script"
[ "$(grep -c '^echo "=== block' "$work/script")" -ge 8 ] && [ -s "$work/here/master.c" ] || failed "few blocks in $document"

# Not one migration less than the command knows.
for file in "$PGK_SOURCE_DIR"/migrations/*.up.sql; do
    name=${file##*/} name=${name%.up.sql}
    grep -qE "^ +$((10#${name%%_*})) +${name#*_} +applied" <(cut -f2 "$work/expected") || failed "$document does not show migration $name"
done

# The server is the document's own, as is the environment.
code=0
(cd "$work/here" && env -u PGHOST -u PGPORT -u PGUSER -u PGDATABASE PATH="$work/prefix/bin:$PATH" LD_LIBRARY_PATH="$library" \
    PKG_CONFIG_PATH="$library/pkgconfig" timeout 120 bash -e "$work/script") >"$work/output" 2>&1 </dev/null || code=$?
[ "$code" = 0 ] || { cat "$work/output"; failed "exit code $code"; }
# What is printed in the background may come a block late, so the lines are looked for from their block on.
squeeze() { tr -s ' ' | sed 's/^ //; s/ $//'; }
while IFS=$'\t' read -r block line; do
    pattern=$(squeeze <<<"$line" | sed 's/[][\.*^$]/\\&/g; s/\\\.\\\.\\\./.*/g')
    sed -n "/^=== block $block\$/,\$p" "$work/output" | squeeze | grep -q -- "^$pattern\$" ||
        { cat "$work/output"; failed "block $block of the document does not print: $line"; }
done <"$work/expected"
running=$(ps -o pid=,args= -C master,postgres | grep -F "$work" || true)
[ -z "$running" ] || failed "left running: $running"

# README alone: its Install lines from migrate on and its program, as the role app, on this case's server. Killed, and
# replaced by the second one.
readme=$PGK_SOURCE_DIR/README.md
awk '/^```c$/ { take = 1; next } /^```/ { take = 0 } take' "$readme" >"$work/here/readme.c"
share=$work/prefix/share/pgkeeper
value "CREATE ROLE app LOGIN"
grep -E '^    (pgkeeper|psql) -d postgresql://[a-z]+@db/app ' "$readme" | grep -v ' run ' |
    sed "s,-d postgresql://[a-z]*@db/app ,,; s,/usr/local/share/pgkeeper,$share,; s, #.*,," >"$work/install"
[ "$(wc -l <"$work/install")" = 4 ] || failed "other lines of installation: $(cat "$work/install")"
export PATH="$work/prefix/bin:$PATH" LD_LIBRARY_PATH="$library" PKG_CONFIG_PATH="$library/pkgconfig"
bash -e "$work/install" >"$work/out" 2>"$work/err" || failed "README, Install"
compile=$(sed -n 's/^    \(cc master\.c .*\) -o master$/\1/p' "$readme")
(cd "$work/here" && bash -c "${compile/master.c/readme.c} -o readme") || failed "README: $compile"
own=()
for name in first second; do
    PGKEEPER_HIGH_AVAILABILITY_POSTGRES_URI="host=$PGHOST port=$PGPORT user=app dbname=$PGDATABASE" "$work/here/readme" "$name:1" >"$work/$name.log" &
    own+=("$!")
    children+=("$!")
    expect 0 leader dispatcher --wait 20s
    stdout_is first:1
done
stands_by() { [ "$(value "SELECT count(*) FROM pgkeeper.stat_contenders WHERE state = 'standby'")" = 1 ]; }
until_true 20 stands_by
kill -KILL "${own[0]}"
grep -q '^leading, epoch' "$work/first.log" || failed "README: nothing in the log of a leader that was killed"
again() { [ "$(value "SELECT epoch_text FROM pgkeeper.stat_leaders WHERE state = 'leading'")" = 1.2 ]; }
until_true 20 again
expect 0 leader dispatcher
stdout_is second:1
# The lines that try it out, on a server of their own, once more.
awk '/^    pgkeeper server --migrate/ { take = 1 } /^$/ { take = 0 } take' "$readme" >"$work/try"
{ echo 'trap '"'"'kill $(jobs -p); wait'"'"' EXIT'; sed 's,\./master ,./readme ,' "$work/try"; echo 'kill -KILL $first'
    echo 'until grep -q ^leading second.log; do sleep 0.1; done; pgkeeper leader dispatcher --wait 20s'; } >"$work/try.sh"
[ "$(wc -l <"$work/try")" = 5 ] || failed "README: other lines that try it out"
(cd "$work/here" && rm -f server.env && env -u PGHOST -u PGPORT -u PGUSER -u PGDATABASE timeout 60 bash -e "$work/try.sh") \
    >"$work/out" 2>"$work/err" </dev/null || failed "README: trying it out"
[ "$(tail -n 1 "$work/out")" = 10.0.0.2:6123 ] || failed "README: the second does not lead"
