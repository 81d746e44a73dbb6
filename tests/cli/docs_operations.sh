#!/usr/bin/env bash
# The ```sh blocks of docs/operations.md and docs/faq.md, each document in one shell, top to bottom, beside two masters. The
# lines of a ```text block ("..." stands for anything) are among what the block before it printed, in their order.
. "$(dirname "$0")/lib/common.sh"
[ -z "${PGK_SANITIZE:-}" ] || { echo "skipped: the same words in every build"; exit 77; }
expect 0 migrate up
contend host-a dispatcher --address host-a:1; first=$pid
expect 0 leader dispatcher --wait 20s
contend host-b dispatcher --address host-b:2; second=$pid
standby() { [ "$(value "SELECT count(*) FROM pgkeeper.stat_contenders WHERE state = 'standby'")" = 1 ]; }
until_true 20 standby
mkdir "$work/bin"
ln -s "$PGK_TEST_COMMAND" "$work/bin/pgkeeper"

squeeze() { tr -s ' ' | sed 's/^ //; s/ $//'; }
for document in operations faq; do
    mkdir "$work/$document"
    awk -v dir="$work/$document" '
        /^```/ { if (kind == "") { kind = substr($0, 4); if (kind == "sh") block++ } else kind = ""; next }
        kind == "sh" { print > (dir "/" block ".sh") }
        kind == "text" { print > (dir "/" block ".text") }' "$PGK_SOURCE_DIR/docs/$document.md"
    count=$(find "$work/$document" -name '*.sh' | wc -l)
    [ "$count" -ge 2 ] || failed "few blocks in $document.md"
    for ((block = 1; block <= count; block++)); do
        (cd "$work/$document" && PATH=$work/bin:$PATH timeout 60 bash -e "$block.sh") >"$work/out" 2>"$work/err" </dev/null ||
            failed "$document.md, block $block"
        squeeze <"$work/out" >"$work/rest"
        [ -e "$work/$document/$block.text" ] || continue
        while read -r line; do
            pattern=$(squeeze <<<"$line" | sed 's/[][\.*^$]/\\&/g; s/\\\.\\\.\\\./.*/g')
            grep -q -- "^$pattern\$" "$work/rest" || failed "$document.md, block $block does not print, in this place: $line"
            sed -i "0,/^${pattern//\//\\/}\$/d" "$work/rest"
        done <"$work/$document/$block.text"
    done
    echo "$document.md: $count blocks"
done
stop "$first" 0
stop "$second" 0
