#!/usr/bin/env bash
# A dump of the database, restored into a fresh server, has all blobs: verify says so there, and reports one that is
# damaged there. What a dump without large objects leaves is found too.
. "$(dirname "$0")/lib/common.sh"
pgkeeper migrate up 2>/dev/null
a=0123456789abcdef0123456789abcdef
bin=${PGSERVER_BINDIR:-$(pg_config --bindir)}
dump() { "$bin/pg_dump" --format=custom "$@"; }

: >"$work/empty"
head -c 1000 /dev/urandom >"$work/small"
head -c 7000001 /dev/urandom >"$work/large"
expect 0 blobs put "$work/empty"
expect 0 blobs put "$work/small" --job $a
expect 0 blobs put "$work/large" --job $a
large=$(cat "$work/out")
value "SELECT lo_from_bytea(0, 'somebody else''s')" >/dev/null

dump --file="$work/whole.dump"                                # large objects are in it
dump --file="$work/schema.dump" --schema=pgkeeper             # they are not
dump --file="$work/both.dump" --schema=pgkeeper --large-objects 2>/dev/null ||
    dump --file="$work/both.dump" --schema=pgkeeper --blobs   # they are; the option's name before 16

# Another server, with nothing in it.
cat >"$work/inner.sh" <<'INNER'
set -eu
into() { createdb "$1"; pg_restore --exit-on-error --dbname="$1" "$work/$1.dump"; }
verify() { code=0; "$PGK_TEST_COMMAND" -d "dbname=$1" blobs verify --all --format csv >"$work/out" 2>"$work/err" || code=$?; }
want() { [ "$1" = "$2" ] || { echo "FAILED: $3: $1, not $2"; cat "$work/out" "$work/err"; exit 1; }; }
one() { psql --no-psqlrc --quiet --tuples-only --no-align --dbname="$1" --command="$2"; }

into whole
"$PGK_TEST_COMMAND" -d dbname=whole migrate verify 2>"$work/err" || want 1 0 "migrate verify after a restore"
verify whole
want $code 0 "verify after a restore"
want "$(grep -c ',ok,' "$work/out")" 3 "blobs that are ok"
"$PGK_TEST_COMMAND" -d dbname=whole blobs get "$large" "$work/back" --job "$a"
cmp "$work/large" "$work/back"
want "$("$PGK_TEST_COMMAND" -d dbname=whole orphans --format json)" '[]' "orphans"

# It lives: what is stored and removed there leaves nothing.
"$PGK_TEST_COMMAND" -d dbname=whole blobs put "$work/small" >/dev/null
"$PGK_TEST_COMMAND" -d dbname=whole blobs rm "$large" --job "$a" --yes >/dev/null
want "$(one whole 'SELECT count(*) FROM pg_largeobject_metadata')" 4 "objects, one of them somebody else's"

# Damaged there: reported, and the rest is read.
one whole "SELECT lo_put(loid, 10, '\\x00') , lo_put(loid, 11, '\\x01') FROM pgkeeper.blob WHERE job_id IS NOT NULL" >/dev/null
verify whole
want $code 1 "verify with a damaged blob"
want "$(grep -c ',damaged,' "$work/out") $(grep -c ',ok,' "$work/out")" "1 2" "damaged and ok"
grep -q 'differ' "$work/err"

# A dump of the schema alone has rows without their bytes; with --large-objects it has both.
into schema
verify schema
want $code 1 "verify without large objects"
want "$(grep -c ',damaged,' "$work/out")" 3 "blobs without bytes"
into both
verify both
want $code 0 "verify of schema and large objects"
INNER
export work a large
"$PGK_TEST_COMMAND" server -- bash "$work/inner.sh" 2>&1 || failed "on the second server"
echo "blobs_restore: all as expected"
