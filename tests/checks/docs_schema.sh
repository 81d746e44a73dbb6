#!/usr/bin/env bash
# Every table, view and function of the migrations is in docs/dba.md, every reason why a tenure ends in
# docs/election.md and docs/troubleshooting.md.
set -u
cd "$PGK_SOURCE_DIR" || exit 1
status=0
count=0
need() { # need WORD FILE
    count=$((count + 1))
    # Within backticks, alone or with what follows a bracket or a dot.
    grep -qE "\`(pgkeeper\.)?$1[\`(.]" "$2" || { echo "$2: no \`$1\`"; status=1; }
}
objects=$(sed -nE 's/^CREATE (TABLE|VIEW|FUNCTION) ([a-z_]+).*/\2/p' migrations/*.up.sql | sort -u)
[ -n "$objects" ] || status=1
for object in $objects; do
    need "$object" docs/dba.md
done
reasons=$(tr '\n' ' ' <migrations/0001_leadership.up.sql |
    sed -E "s/.*leader_history_end_reason_is_known CHECK \(end_reason IN \(([^)]*)\).*/\1/" | grep -oE "[a-z_]+")
[ -n "$reasons" ] || status=1
for reason in $reasons; do
    need "$reason" docs/election.md
    [ "$reason" = resigned ] || need "$reason" docs/troubleshooting.md
done
echo "$count names"
exit $status
