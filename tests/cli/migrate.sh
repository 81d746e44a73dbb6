#!/usr/bin/env bash
# pgkeeper migrate: up, status, sql, verify and down, in schemas of all names, alone and eight at once.
. "$(dirname "$0")/lib/common.sh"

version_of() { value "SELECT max(version) FROM $1.schema_history"; }
newest=$(ls "$PGK_SOURCE_DIR"/migrations/*.up.sql | wc -l)

# status before, up, status after.
expect 4 migrate status
stdout_has pending
expect 6 leaders
stderr_has "pgkeeper migrate up"
expect 0 migrate up
[ ! -s "$work/out" ] || failed "migrate up wrote to stdout"
expect 0 migrate status --format json
same t "SELECT j @> '[{\"version\": 1, \"name\": \"leadership\", \"state\": \"applied\"}]' FROM (SELECT \$j\$$(cat "$work/out")\$j\$::jsonb AS j) s"
same "$newest" "SELECT schema_version FROM pgkeeper.schema_meta"
same "$(cd "$PGK_SOURCE_DIR" && sha256sum migrations/0001_leadership.up.sql | cut -d' ' -f1)" \
    "SELECT sha256 FROM pgkeeper.schema_history WHERE version = 1"
expect 0 migrate up
stderr_has "at version $newest"
expect 0 migrate verify

# Any schema name; the script for psql makes the same as up, and the two do not differ from one another.
for schema in 'with space' 'Upper Case' 'a"quote' "an'apostrophe" 'back\slash' 'semi;colon' 'ünïcode' 'select' \
    'percent%s' '"""""""""""""""""""""""""""""""""""""""""""""""""""""""""""""""'; do
    name=${schema:0:60}
    expect 0 --schema "$name" migrate up
    expect 0 --schema "$name" migrate verify
    expect 0 --schema "$name" migrate status
    expect 0 --schema "$name" leaders
    expect 0 --schema "$name-s" migrate sql
    psql --no-psqlrc --quiet --file="$work/out" >"$work/script.out" 2>&1 || failed "script: $(cat "$work/script.out")"
    expect 0 --schema "$name-s" migrate verify
    # Refuses a schema that is not at the version it expects, and changes nothing.
    expect 0 --schema "$name-s" migrate sql
    psql --no-psqlrc --quiet --file="$work/out" >"$work/script.out" 2>&1 && failed "the script ran twice"
    grep -q 'nothing was changed' "$work/script.out" || failed "$(cat "$work/script.out")"
    expect 0 --schema "$name-s" migrate verify
done
same 0 "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'pgkeeper verify%'"
expect 0 migrate sql
psql --no-psqlrc --quiet --set=schema='by variable' --file="$work/out" >/dev/null
expect 0 --schema 'by variable' migrate verify
for schema in '' pg_mine '$user' "$(printf 'x%.0s' {1..64})"; do
    expect 2 --schema "$schema" migrate up
    is_usage_error
done

# Eight at once: all succeed, one row each.
for round in 1 2 3; do
    pids=()
    for i in 1 2 3 4 5 6 7 8; do
        "$PGK_TEST_COMMAND" --schema "eight $round" migrate up >/dev/null 2>"$work/eight.$i" &
        pids+=($!)
    done
    for i in "${!pids[@]}"; do
        wait "${pids[$i]}" || failed "one of eight failed: $(cat "$work/eight.$((i + 1))")"
    done
    same "$newest" "SELECT count(*) FROM \"eight $round\".schema_history"
    # Each migration by one of them, not all by the same.
    [ "$(cat "$work"/eight.[1-8] | grep -c applied)" = "$newest" ] || failed "applied by none or by several"
    expect 0 --schema "eight $round" migrate verify
done

# Somebody else holds the lock: never waits in a queue, gives up in time, names the holder.
mkfifo "$work/holder"
PGAPPNAME='the holder' psql --no-psqlrc --quiet --tuples-only --no-align <"$work/holder" >"$work/holder.out" &
children+=($!)
exec 7>"$work/holder"
echo "SELECT pg_advisory_lock('pg_namespace'::regclass::oid::integer, hashtext('locked')); SELECT 'ready';" >&7
until_true 20 grep -q ready "$work/holder.out"
expect 5 --schema locked migrate up --timeout 300ms
stderr_has 'the holder'
same 0 "SELECT count(*) FROM pg_namespace WHERE nspname = 'locked'"
same 0 "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
expect 0 --schema 'not locked' migrate up
echo "SELECT pg_advisory_unlock_all(); SELECT 'freed';" >&7
until_true 20 grep -q freed "$work/holder.out"
expect 0 --schema locked migrate up

# A lock on a table in the way of `down`: lock_timeout, a clear failure, nothing changed.
echo "BEGIN; LOCK TABLE locked.leader; SELECT 'locks';" >&7
until_true 20 grep -q locks "$work/holder.out"
expect 5 --schema locked migrate down --to 0 --yes --timeout 200ms
stderr_has 'lock timeout'
expect_version() { same "$1" "SELECT max(version) FROM locked.schema_history"; }
expect_version "$newest"
echo "COMMIT; SELECT 'done';" >&7
until_true 20 grep -q "done" "$work/holder.out"
exec 7>&-

# verify finds every kind of drift, and says nothing about what is as it should be.
drift() {
    value "$1" >/dev/null
    expect 1 migrate verify
    stdout_has "$2"
    expect 1 migrate verify --format json
    same 1 "SELECT jsonb_array_length(\$j\$$(cat "$work/out")\$j\$::jsonb)"
    value "$3" >/dev/null
    expect 0 migrate verify
}
drift "DROP INDEX pgkeeper.event_by_time" "missing     index event_by_time" "CREATE INDEX event_by_time ON pgkeeper.event (at)"
drift "ALTER TABLE pgkeeper.event ALTER detail DROP NOT NULL" "changed     column event.detail" \
    "ALTER TABLE pgkeeper.event ALTER detail SET NOT NULL"
drift "ALTER TABLE pgkeeper.leadership DROP CONSTRAINT leadership_epoch_is_not_negative" \
    "missing     constraint leadership.leadership_epoch_is_not_negative" \
    "ALTER TABLE pgkeeper.leadership ADD CONSTRAINT leadership_epoch_is_not_negative CHECK (epoch >= 0)"
drift "ALTER TABLE pgkeeper.leader DISABLE TRIGGER announce" "changed     trigger leader.announce" \
    "ALTER TABLE pgkeeper.leader ENABLE TRIGGER announce"
drift "GRANT EXECUTE ON FUNCTION pgkeeper.kick TO PUBLIC" "unexpected  grant to PUBLIC kick(" \
    "REVOKE EXECUTE ON FUNCTION pgkeeper.kick FROM PUBLIC"
drift "ALTER FUNCTION pgkeeper.fence STABLE" "changed     function fence(" "ALTER FUNCTION pgkeeper.fence VOLATILE"
drift "ALTER FUNCTION pgkeeper.fence RESET search_path" "changed     function fence(" \
    "ALTER FUNCTION pgkeeper.fence SET search_path = pgkeeper, pg_temp"
drift "CREATE RULE r AS ON INSERT TO pgkeeper.event DO ALSO NOTHING" "unexpected  rule event.r" "DROP RULE r ON pgkeeper.event"
drift "CREATE VIEW pgkeeper.v AS SELECT 1 AS one; COMMENT ON VIEW pgkeeper.v IS NULL; ALTER VIEW pgkeeper.v RENAME one TO two;
       DROP VIEW pgkeeper.v; CREATE SEQUENCE pgkeeper.extra" "unexpected  sequence extra" "DROP SEQUENCE pgkeeper.extra"
drift "ALTER TABLE pgkeeper.tenure SET LOGGED" "changed     table tenure" "ALTER TABLE pgkeeper.tenure SET UNLOGGED"
drift "ALTER TABLE pgkeeper.leader SET UNLOGGED" "changed     table leader" "ALTER TABLE pgkeeper.leader SET LOGGED"
comment=$(value "SELECT quote_literal(obj_description('pgkeeper.event'::regclass))")
drift "COMMENT ON TABLE pgkeeper.event IS 'other'" "changed     comment event" "COMMENT ON TABLE pgkeeper.event IS $comment"
drift "UPDATE pgkeeper.schema_history SET sha256 = repeat('0', 64) WHERE version = 1" "changed     migration 0001_leadership" \
    "UPDATE pgkeeper.schema_history SET sha256 = '$(cd "$PGK_SOURCE_DIR" && sha256sum migrations/0001_leadership.up.sql | cut -d' ' -f1)' WHERE version = 1"

# No unlogged table is made for the comparison, also not in a transaction that is undone: a server that crashes at that
# moment would not start again.
value "CREATE FUNCTION public.no_unlogged() RETURNS event_trigger LANGUAGE plpgsql AS \$\$
BEGIN
    IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() d JOIN pg_class c ON c.oid = d.objid AND c.relpersistence = 'u') THEN
        RAISE EXCEPTION 'an unlogged table was made';
    END IF;
END \$\$; CREATE EVENT TRIGGER no_unlogged ON ddl_command_end EXECUTE FUNCTION public.no_unlogged()" >/dev/null
expect 1 --schema other_one migrate up
stderr_has 'an unlogged table was made'
expect 0 migrate verify
"$PGK_TEST_COMMAND" doctor --format csv >"$work/out" 2>"$work/err" || true
grep -q '^drift,ok,the schema is what the migrations make' "$work/out" || failed "doctor: drift"
value "DROP EVENT TRIGGER no_unlogged; DROP FUNCTION public.no_unlogged()" >/dev/null

# Newer than the command.
value "INSERT INTO pgkeeper.schema_history VALUES (999, 'later', repeat('0', 64), now(), 'x', 1, '9')" >/dev/null
for action in "migrate up" "migrate status" "migrate verify" "migrate down --to 0 --yes"; do
    # shellcheck disable=SC2086
    expect 6 $action
done
value "DELETE FROM pgkeeper.schema_history WHERE version = 999; UPDATE pgkeeper.schema_meta SET min_client_schema = 999" >/dev/null
expect 6 leaders
stderr_has "newer pgkeeper"
value "UPDATE pgkeeper.schema_meta SET min_client_schema = 1" >/dev/null

# down: dry run, refusal without an answer, then for good; up again.
value "INSERT INTO pgkeeper.leadership (cluster_id, group_name) VALUES ('c', 'g')" >/dev/null
expect 0 migrate down --to 0 --dry-run
stdout_is "$(ls -r "$PGK_SOURCE_DIR"/migrations/*.up.sql | sed 's,.*/,,; s/\.up\.sql$//')"
stderr_has "table leadership with 1 row"
expect 1 migrate down --to 0
stderr_has "nothing was changed"
same 1 "SELECT count(*) FROM pgkeeper.leadership"
expect 2 migrate down
is_usage_error
expect 0 migrate down --to 0 --yes
same 0 "SELECT count(*) FROM pg_class WHERE relnamespace = 'pgkeeper'::regnamespace"
same 0 "SELECT count(*) FROM pg_proc WHERE pronamespace = 'pgkeeper'::regnamespace"
expect 6 migrate verify
expect 0 migrate down --to 0 --yes
expect 0 migrate up
expect 0 migrate verify

# Somebody's own object of the same name: nothing is kept of the attempt.
value "CREATE SCHEMA taken; CREATE TABLE taken.event (mine int)" >/dev/null
expect 1 --schema taken migrate up
stderr_has 'already exists'
same event "SELECT string_agg(relname, ',') FROM pg_class WHERE relnamespace = 'taken'::regnamespace"

# A role that may not.
value "CREATE ROLE nobody LOGIN" >/dev/null
PGUSER=nobody expect 3 --schema 'not mine' migrate up
stderr_has 'permission denied'
stderr_has 'role "nobody" needs CREATE'
value "CREATE SCHEMA \"made by another\"; GRANT USAGE ON SCHEMA \"made by another\" TO nobody" >/dev/null
PGUSER=nobody expect 3 --schema 'made by another' migrate up
stderr_has 'role "nobody" needs CREATE on schema "made by another"'
PGUSER=nobody expect 3 leaders

# Nothing there to undo.
expect 0 --schema 'never made' migrate down --to 0 --yes
stderr_has 'has no schema "never made"'
same 0 "SELECT count(*) FROM pg_namespace WHERE nspname = 'never made'"

expect 2 migrate; is_usage_error
expect 2 migrate sideways; is_usage_error
expect 2 migrate up --to 999; is_usage_error
expect 2 migrate up --to -1; is_usage_error
expect 2 migrate up --timeout soon; is_usage_error
echo "migrate: all as expected"
