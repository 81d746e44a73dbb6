#!/usr/bin/env bash
# Relative links in the documents lead to files and headings that exist.
set -u
cd "$PGK_SOURCE_DIR" || exit 1
status=0
checked=0

# Headings of a file as GitHub makes anchors of them.
anchors() {
    awk '/^```/ { code = !code } !code && /^#+ /' "$1" |
        sed 's/^#* //' | tr '[:upper:]' '[:lower:]' | sed 's/[^a-z0-9 _-]//g; s/ /-/g'
}

for document in README.md docs/*.md contrib/*/README.md; do
    while read -r target; do
        checked=$((checked + 1))
        file=${target%%#*}
        anchor=${target#"$file"}
        anchor=${anchor#\#}
        path=$document
        [ -n "$file" ] && path=$(dirname "$document")/$file
        if [ ! -e "$path" ]; then
            echo "$document: no file $file"
            status=1
        elif [ -n "$anchor" ] && ! anchors "$path" | grep -qxF -- "$anchor"; then
            echo "$document: no heading #$anchor in $path"
            status=1
        fi
    done < <(awk '/^```/ { code = !code } !code' "$document" |
        grep -oE '\]\([^)]+\)' | sed 's/^](//; s/)$//' | grep -vE '^[a-z]+:')
done
[ "$checked" -gt 0 ] || status=1
echo "$checked links"
exit $status
