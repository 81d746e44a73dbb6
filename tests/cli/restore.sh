#!/usr/bin/env bash
# Backup and restore (docs/operations.md): a dump that is older than the latest tokens is restored into a fresh server,
# whose transaction ids are below those of the dump. Without sql/after_restore.sql a new leader would get an epoch that
# others had before, a token of then would pass the fence, and nobody would own the jobs: shown first, so that this case
# is known to find it. With it, none of these.
. "$(dirname "$0")/lib/common.sh"
job=00000000000000000000000000000001

# lead NAME: leads, and is killed.
lead() {
    contend "$1" dispatcher --address "$1:1"
    until_true 20 leads "$1"
    kill -KILL "$pid"
    until_true 20 nobody_leads
}
leads() { [ "$(pgkeeper leader dispatcher)" = "$1:1" ]; }
nobody_leads() { [ "$(value "SELECT count(*) FROM pgkeeper.stat_leaders WHERE lock_held")" = 0 ]; }
epoch() { value "SELECT epoch FROM pgkeeper.leadership WHERE group_name = 'master'"; }
passes_the_fence() { value "SELECT pgkeeper.fence(id, $1) FROM pgkeeper.leadership WHERE group_name = 'master'"; }

if [ "${1:-}" != restored ]; then
    # The server that is lost: old enough for its transaction ids to mean something.
    value "CREATE PROCEDURE burn() LANGUAGE plpgsql AS \$\$ BEGIN FOR i IN 1..3000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END \$\$"
    value "CALL burn()"
    expect 0 migrate up
    lead one
    seq 40 >"$work/graph" # a second's work
    expect 0 jobs put $job "$work/graph"
    value "INSERT INTO pgkeeper.checkpoint_counter (cluster_id, job_id, next_id, op_id) VALUES ('/default', '$job', 5, gen_random_uuid())"
    dumped=$(epoch)
    pg_dump --format=custom --file="$work/dump"
    lead two
    lead three
    chmod 755 "$work"
    "$PGK_TEST_WITH_SERVER" bash "$0" restored "$work/dump" "$dumped" "$(epoch)" || failed "see above"
    exit 0
fi

# The server that takes its place.
dump=$2 dumped=$3 last=$4
[ "$dumped" -lt "$last" ] || failed "no epoch was handed out after the dump"
for database in untreated treated told; do
    value "CREATE DATABASE $database"
    pg_restore --dbname="$database" "$dump" >"$work/out" 2>&1 || failed pg_restore
done

export PGDATABASE=untreated
same t "SELECT created_in::text::bigint > pg_current_xact_id()::text::bigint FROM pgkeeper.job_graph"
passes_the_fence "$dumped" >"$work/out" || failed "this case shows nothing: the token of then does not pass"
lead four
[ "$(epoch)" -le "$last" ] || failed "this case shows nothing: epochs went on without help"

export PGDATABASE=treated
run() { psql --no-psqlrc --quiet --file="$PGK_SOURCE_DIR/sql/after_restore.sql" "$@" >"$work/out" 2>"$work/err"; }
run || failed "after_restore.sql"
stdout_has "| 1001."
run --set=numbers=0 --set=timelines=0 || failed "after_restore.sql, a second time"
[ "$(epoch)" -gt "$last" ] || failed "not above $last"
! passes_the_fence "$dumped" >"$work/out" 2>"$work/err" || failed "a token of then passes the fence"
! passes_the_fence "$last" >"$work/out" 2>"$work/err" || failed "the last token passes the fence"
stderr_has fenced
same 1000005 "SELECT next_id FROM pgkeeper.checkpoint_counter"
expect 0 migrate verify
"$PGK_BUILD_DIR/examples/master" five five:1 >"$work/five" 2>&1 &
children+=("$!")
owned() { [ "$(value "SELECT cardinality(live_owners) FROM pgkeeper.stat_jobs WHERE graph_bytes > 0")" = 1 ]; }
until_true 20 owned
until_true 20 grep -q finished "$work/five"
same FINISHED "SELECT status FROM pgkeeper.job_result"
[ "$(epoch)" -gt "$last" ] || failed "the new leader's epoch is not above $last"
! run || failed "ran while somebody leads"
stderr_has 'stop the masters first'

# Told the largest epoch, it goes no further than that.
export PGDATABASE=told
run --set=past="$(value "SELECT pgkeeper.epoch_text($last)")" || failed "after_restore.sql with past"
same $((last + 1)) "SELECT epoch FROM pgkeeper.leadership"
run --set=past=$((last + 10)) || failed "after_restore.sql with a number"
same $((last + 11)) "SELECT epoch FROM pgkeeper.leadership"
! run --set=past=nonsense || failed "took nonsense"
same $((last + 11)) "SELECT epoch FROM pgkeeper.leadership"
lead six
same $((last + 12)) "SELECT epoch FROM pgkeeper.leadership"
