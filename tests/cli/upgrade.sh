#!/usr/bin/env bash
# The way between schema versions. Rows of every version (rows/NNNN.sql fills the tables that NNNN makes) are there,
# unchanged, after every step up and after all steps at once; the way down refuses to lose any unless told, and names
# them. The library and the command on older schemas say what to run; on newer ones they work as long as
# schema_meta.min_client_schema admits them.
. "$(dirname "$0")/lib/common.sh"
rows=$PGK_SOURCE_DIR/tests/cli/rows
newest=$(ls "$PGK_SOURCE_DIR"/migrations/*.up.sql | wc -l)
# What the library declares to need; the command brings the newest.
library=$(sed -n 's/^#define SCHEMA_VERSION //p' "$PGK_SOURCE_DIR/src/backend/postgres/link.c")
[ "$library" -le "$newest" ] || failed "the library needs version $library, the newest is $newest"

# fill SCHEMA VERSION: the rows of that version.
fill() {
    local file
    file=$rows/$(printf %04d "$2").sql
    if [ -e "$file" ]; then
        PGOPTIONS="-c search_path=$1,pg_temp" psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --file="$file" \
            >"$work/out" 2>"$work/err" || failed "$file"
    fi
}
tables="SELECT c.oid, c.relname FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = :'schema'::regnamespace
           AND c.relname NOT IN ('schema_meta', 'schema_history')"
# digests SCHEMA: a statement for each table that gives its name, the number of its rows and a digest of all the columns
# that it has now: to be run again when it has more.
digests() {
    psql --no-psqlrc --quiet --tuples-only --no-align --set=schema="$1" <<SQL
SELECT format('SELECT %L, count(*), md5(string_agg(t::text, E''\n'' ORDER BY t::text)) FROM (SELECT %s FROM %I.%I) t;',
              x.relname, string_agg(format('%I', a.attname), ', ' ORDER BY a.attnum), :'schema', x.relname)
  FROM ($tables) x JOIN pg_attribute a ON a.attrelid = x.oid AND a.attnum > 0 AND NOT a.attisdropped
 GROUP BY x.relname ORDER BY x.relname;
SQL
}
run_file() { psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 --file="$1"; }
# remember SCHEMA NAME, and unchanged NAME
remember() {
    digests "$1" >"$work/$2.sql"
    run_file "$work/$2.sql" >"$work/$2.rows"
    [ "$(grep -c . "$work/$2.rows")" -gt 0 ] || failed "no tables"
    ! grep '|0|' "$work/$2.rows" >"$work/out" || failed "no row for a table of version $2: add it to tests/cli/rows"
}
unchanged() {
    run_file "$work/$1.sql" >"$work/now" || failed "what $1 had is not there"
    diff "$work/$1.rows" "$work/now" >"$work/out" || failed "rows that $1 had are not what they were"
}

# Up, one step at a time, and all at once.
for ((version = 1; version <= newest; version++)); do
    expect 0 migrate up --to "$version"
    [ "$version" = 1 ] || unchanged "$((version - 1))"
    fill pgkeeper "$version"
    remember pgkeeper "$version"
done
expect 0 migrate verify
expect 0 --schema direct migrate up --to 1
fill direct 1
remember direct all
expect 0 --schema direct migrate up
unchanged all
expect 0 --schema direct migrate verify
# The next epoch is above the one of before, and what was stored is understood.
contend heir dispatcher --address here:1 --schema direct
expect 0 --schema direct leader dispatcher --wait 20s
stop "$pid" 0
same 1.42 "SELECT direct.epoch_text(max(epoch)) FROM direct.leader_history"
same lost "SELECT end_reason FROM direct.leader_history WHERE epoch = (1::bigint << 40) + 41"
expect 0 jobs ls --format csv
stdout_has 00000000000000000000000000000001

# Down, one step at a time: every table with rows that would go is named, nothing is done without an answer, and only
# what was named goes.
for ((version = newest; version >= 1; version--)); do
    before=$((version - 1))
    [ "$before" = 0 ] && : >"$work/0.rows"
    expect 0 migrate down --to "$before" --dry-run
    comm -23 <(cut -d'|' -f1 "$work/$version.rows" | sort) <(cut -d'|' -f1 "$work/$before.rows" | sort) >"$work/lost"
    while read -r table; do
        stderr_has "would lose table $table with "
    done <"$work/lost"
    [ "$(wc -l <"$work/lost")" = "$(grep -c 'would lose table' "$work/err")" ] || failed "other tables than $(cat "$work/lost")"
    expect 1 migrate down --to "$before"
    stderr_has "nothing was changed"
    unchanged "$version"
    expect 0 migrate down --to "$before" --yes
    if [ "$before" -gt 0 ]; then
        # The audit may tell of it; the rest is as it was.
        run_file "$work/$before.sql" | grep -v '^event|' >"$work/now" || true
        diff <(grep -v '^event|' "$work/$before.rows") "$work/now" >"$work/out" || failed "down to $before lost more than it said"
    fi
done

# Ends at once; if it contends instead, not before this gives up.
elect_is_refused() {
    local got=0
    timeout 20 "$PGK_TEST_COMMAND" --schema "$1" elect dispatcher >"$work/out" 2>"$work/err" </dev/null || got=$?
    [ "$got" = 6 ] || failed "exit code $got instead of 6: elect in schema $1"
    stderr_has "$2"
}

# New on old. The library needs the schema that it was built for; the command reads leaders from version 1 on.
for ((version = 0; version < newest; version++)); do
    schema=old$version
    if [ "$version" -gt 0 ]; then expect 0 --schema $schema migrate up --to "$version"; fi
    if [ "$version" -lt "$library" ]; then
        elect_is_refused $schema 'migrate up'
    else
        contend "on$version" dispatcher --address "on:$version" --schema $schema
        expect 0 --schema $schema leader dispatcher --wait 20s
        stop "$pid" 0
    fi
    case $version in
        0) expect 6 --schema $schema leaders; stderr_has "pgkeeper --schema '$schema' migrate up" ;;
        *) for verb in leaders contenders history; do expect 0 --schema $schema $verb; done ;;
    esac
    if [ "$version" -lt 2 ]; then
        expect 6 --schema $schema jobs ls
        stderr_has "pgkeeper --schema '$schema' migrate up"
    fi
done

# Old on new: what a later version may do to a schema without shutting this one out: more columns, a table, a view with
# more columns. It is applied while a process of this version leads and another waits.
expect 0 --schema new migrate up
contend first dispatcher --address first:1 --schema new; first=$pid
expect 0 --schema new leader dispatcher --wait 20s
contend second dispatcher --address second:1 --schema new
value "BEGIN; SET LOCAL search_path = new, pg_temp; SET LOCAL lock_timeout = '5s';
ALTER TABLE leadership ADD later text; ALTER TABLE job_graph ADD later text NOT NULL DEFAULT 'x'; CREATE TABLE later (id int);
CREATE OR REPLACE VIEW stat_summary AS SELECT s.*, 0 AS later FROM ($(value "SELECT rtrim(pg_get_viewdef('new.stat_summary'), ';')")) s;
INSERT INTO schema_history VALUES ($newest + 1, 'later', repeat('0', 64), now(), 'x', 1, '9');
UPDATE schema_meta SET schema_version = $newest + 1; COMMIT" >/dev/null
expect 0 --schema new leader dispatcher
stdout_is first:1
waits() { [ "$(value "SELECT count(*) FROM new.stat_contenders WHERE state = '$1'")" = 1 ]; }
until_true 20 waits standby
kill -KILL "$first"
took_over() { [ "$(pgkeeper --schema new leader dispatcher)" = second:1 ]; }
until_true 20 took_over
echo graph >"$work/graph"
expect 0 --schema new jobs put 00000000000000000000000000000001 "$work/graph"
expect 0 --schema new jobs get 00000000000000000000000000000001 -
stdout_is graph
for verb in leaders contenders history "jobs ls" "results ls" "checkpoints ls 00000000000000000000000000000001"; do
    # shellcheck disable=SC2086
    expect 0 --schema new $verb
done
# Migrating is for a command that knows that version.
for action in "up" "status" "verify" "down --to 0 --yes"; do
    # shellcheck disable=SC2086
    expect 6 --schema new migrate $action
done

# A version that shuts this one out: who leads goes on until its session ends; nobody of this version comes back.
value "UPDATE new.schema_meta SET min_client_schema = $newest + 1" >/dev/null
expect 6 --schema new leaders
stderr_has 'install a newer pgkeeper'
elect_is_refused new 'upgrade libpgkeeper'
same leading "SELECT state FROM new.stat_leaders WHERE component = 'dispatcher'"
value "SELECT pg_terminate_backend(backend_pid) FROM new.stat_contenders WHERE state = 'leader'" >/dev/null
until_true 20 grep -q 'PGK_ERR_SCHEMA: .* admits clients for schema version' "$work/second"
same lost "SELECT state FROM new.stat_leaders WHERE component = 'dispatcher'"
