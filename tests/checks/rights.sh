#!/usr/bin/env bash
# doctor asks for the rights that sql/roles.sql gives: what is granted to application, monitor and operator there is what it
# needs to lead, read and act.
set -eu
cd "$PGK_SOURCE_DIR"
words() { tr -s '{}, ' '\n' | grep -v '^$' | LC_ALL=C sort -u; }
# granted ROLE: the lists before its name.
granted() {
    tr '\n' ' ' <sql/roles.sql | grep -oE "unnest\('\{[a-z_, ]*\}'::text\[\]\), *:'$1'|:'$1'\) +FROM unnest\('\{[a-z_, ]*\}" |
        grep -oE '\{[a-z_, ]*' | words
}
needed() { grep -oE "'$1', '[a-z ]*', unnest\('\{[a-z_,]*" src/cli/sql/doctor/rights.sql | sed 's/.*{//' | words; }
status=0
compare() {
    [ "$(needed "$2" | wc -l)" -gt 9 ] || { echo "nothing read of $2"; status=1; }
    diff <(granted "$1") <(needed "$2") || { echo "what $1 is granted (<) and what doctor needs to $2 (>)"; status=1; }
}
compare application lead
compare monitor read
compare operator act
exit $status
