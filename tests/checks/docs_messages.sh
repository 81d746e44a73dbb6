#!/usr/bin/env bash
# The messages that docs/troubleshooting.md quotes (first column of a table, between backticks, "..." for what
# varies) are those of the sources.
set -u
cd "$PGK_SOURCE_DIR" || exit 1
# Sources on one line, with the pieces of divided string literals joined.
sources=$(cat src/*/*.c src/backend/postgres/*.c migrations/*.up.sql |
    tr '\n' ' ' | sed 's/\\"/"/g; s/" *\(PRI[a-z0-9]* *\)\{0,1\}"//g')
# shellcheck disable=SC2016 # these are Markdown's backticks
quoted=$(sed -n 's/^| `\([^`]* [^`]* [^`]*\)`.*/\1/p' docs/troubleshooting.md)
status=0
checked=0
while IFS= read -r message; do
    while IFS= read -r piece; do
        piece=$(sed 's/^[ ,:]*//; s/[ ,:]*$//' <<<"$piece")
        [ ${#piece} -ge 6 ] || continue
        checked=$((checked + 1))
        grep -qF -- "$piece" <<<"$sources" || { echo "not in the sources: \"$piece\" of \"$message\""; status=1; }
    done <<<"${message//.../$'\n'}"
done <<<"$quoted"
[ $checked -ge 10 ] || status=1
echo "$checked pieces of messages"
exit $status
