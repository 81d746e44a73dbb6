#!/usr/bin/env bash
# Every verb, with each of its actions, under each role of sql/roles.sql and under one that has none: what it ends with.
# Every view under monitor and operator, every act in SQL under operator, and neither under roles that have no business
# with it. A verb, view or function that is not in the tables below fails the test.
. "$(dirname "$0")/lib/common.sh"
[ -z "${PGK_SANITIZE:-}" ] || { echo "skipped: rights are no matter of sanitizers"; exit 77; }

expect 0 migrate up
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --file="$PGK_SOURCE_DIR/sql/roles.sql" >"$work/out" 2>"$work/err" || failed roles.sql
for role in application monitor operator; do
    value "CREATE ROLE as_$role LOGIN IN ROLE pgkeeper_$role" >/dev/null
done
value "CREATE ROLE as_nothing LOGIN" >/dev/null

# What there is to see and to do.
PGUSER=as_application contend app dispatcher --address app:1; app=$pid
PGUSER=as_monitor expect 0 leader dispatcher --wait 20s
PGUSER=as_application contend heir dispatcher --address heir:1; heir=$pid
two() { [ "$(value "SELECT count(*) FROM pgkeeper.stat_contenders WHERE alive")" = 2 ]; }
until_true 20 two
job=00000000000000000000000000000001
gone=00000000000000000000000000000002
echo graph >"$work/graph"
PGOPTIONS='-c search_path=pgkeeper,pg_temp' psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 >"$work/out" <<SQL || failed rows
INSERT INTO job_graph (cluster_id, job_id, graph, sha256) VALUES ('/default', '$job', 'a', sha256('a'));
INSERT INTO checkpoint (cluster_id, job_id, checkpoint_id, pointer, sha256, completed_at)
SELECT '/default', '$job', n, 'p', sha256('p'), now() FROM generate_series(1, 4) n;
INSERT INTO job_result (cluster_id, job_id, status) VALUES ('/default', '$gone', 'FINISHED');
SQL
PGUSER=as_application expect 0 blobs put "$work/graph" --job $job
key=$(cat "$work/out")

# An orphan, so that there is something to remove.
loose=$(value "SELECT lo_create(0)")
value "COMMENT ON LARGE OBJECT $loose IS 'pgkeeper blob, schema pgkeeper'; ALTER LARGE OBJECT $loose OWNER TO pgkeeper_owner"

# verb and arguments | nothing | monitor | operator | application: exit codes, run in this order. 3: not for this role.
# The codes are looked up by these names.
# shellcheck disable=SC2034
while IFS='|' read -r arguments nothing monitor operator application; do
    # Words and codes are separated by blanks.
    # shellcheck disable=SC2086
    set -- $arguments
    echo "$1" >>"$work/verbs"
    for role in nothing monitor operator application; do
        code=${!role// /}
        PGUSER=as_$role expect "$code" "$@"
        # Not by chance: it was for want of rights.
        if [ "$code" = 3 ]; then
            grep -qE 'permission denied|may not use schema|must be owner' "$work/out" "$work/err" || failed "as_$role, $arguments: 3 for another reason"
        fi
    done
done <<TABLE
leader dispatcher                    | 3 | 0 | 0 | 0
leaders                              | 3 | 0 | 0 | 0
contenders                           | 3 | 0 | 0 | 0
history                              | 3 | 0 | 0 | 3
status                               | 3 | 0 | 0 | 0
top --once                           | 3 | 0 | 0 | 0
metrics                              | 3 | 0 | 0 | 0
doctor                               | 3 | 0 | 0 | 0
jobs ls                              | 3 | 0 | 0 | 0
jobs show $job                       | 3 | 0 | 0 | 0
jobs get $job -                      | 3 | 3 | 3 | 0
jobs put $job $work/graph --replace  | 3 | 3 | 3 | 0
results ls                           | 3 | 0 | 0 | 0
results show $gone                   | 3 | 0 | 0 | 0
results mark-clean $gone             | 3 | 3 | 3 | 0
checkpoints ls                       | 3 | 0 | 0 | 0
checkpoints show $job                | 3 | 0 | 0 | 0
checkpoints rm $job 1 --yes          | 3 | 3 | 3 | 0
counter get $job                     | 3 | 0 | 0 | 0
counter set $job 9                   | 3 | 3 | 3 | 0
blobs ls                             | 3 | 0 | 0 | 0
blobs stat $key --job $job           | 3 | 0 | 0 | 0
blobs put $work/graph                | 3 | 3 | 3 | 0
blobs get $key - --job $job          | 3 | 3 | 3 | 0
blobs verify $key --job $job         | 3 | 3 | 3 | 0
blobs rm $key --job $job --yes       | 3 | 3 | 3 | 0
orphans                              | 3 | 0 | 0 | 0
orphans --remove --yes               | 3 | 3 | 0 | 0
jobs rm $job --yes                   | 3 | 3 | 3 | 0
pause                                | 3 | 3 | 0 | 3
resume                               | 3 | 3 | 0 | 3
switchover dispatcher --to heir      | 3 | 3 | 0 | 3
resign dispatcher                    | 3 | 3 | 0 | 3
kick dispatcher --yes                | 3 | 3 | 0 | 3
purge results --older-than 0s --yes  | 3 | 3 | 0 | 3
purge history --older-than 1d --yes  | 3 | 3 | 0 | 3
purge events --older-than 1d --yes   | 3 | 3 | 0 | 3
cleanup job $job --yes               | 3 | 3 | 0 | 0
cleanup cluster --cluster /x --yes   | 3 | 3 | 0 | 0
migrate status                       | 3 | 0 | 0 | 3
migrate up                           | 3 | 0 | 0 | 3
migrate verify                       | 3 | 3 | 3 | 3
migrate down --to 3 --yes            | 3 | 3 | 3 | 3
config show                          | 0 | 0 | 0 | 0
completion bash                      | 0 | 0 | 0 | 0
version                              | 0 | 0 | 0 | 0
help                                 | 0 | 0 | 0 | 0
TABLE

# Those that go on until they are stopped, or have codes of their own.
for role in nothing monitor operator; do
    PGUSER=as_$role expect 3 elect dispatcher --cluster /other
    grep -qF 'permission denied' "$work/err" || failed "elect as_$role"
    PGUSER=as_$role expect 125 run --cluster /other --wait 20s -- true
    grep -qF 'permission denied' "$work/err" || failed "run as_$role"
done
PGUSER=as_application expect 0 run --cluster /other --wait 20s -- true
PGUSER=as_nothing expect 3 watch
for role in monitor operator application; do
    PGUSER=as_$role "$PGK_TEST_COMMAND" watch --format ndjson >"$work/watch.$role" 2>"$work/watch.err" &
    children+=($!)
    until_true 20 grep -q dispatcher "$work/watch.$role"
    stop $! 0
done
# Needs no database, and has a test of its own (server.sh).
echo server >>"$work/verbs"
printf '%s\n' elect run watch >>"$work/verbs"
all=$(pgkeeper help | sed -n '/^verbs/,/^$/s/^  \([a-z]*\) .*/\1/p' | sort -u)
[ "$(wc -l <<<"$all")" -gt 25 ] || failed "the list of verbs was not read"
[ "$all" = "$(sort -u "$work/verbs")" ] || failed "verbs that are not tried: $(comm -3 <(echo "$all") <(sort -u "$work/verbs"))"

# Views, all that there are; what they show is tested elsewhere.
for view in $(value "SELECT relname FROM pg_class WHERE relnamespace = 'pgkeeper'::regnamespace AND relkind = 'v'"); do
    for role in monitor operator application; do
        PGUSER=as_$role value "SELECT * FROM pgkeeper.$view" >"$work/out" 2>"$work/err" || failed "$role may not read $view"
    done
    PGUSER=as_nothing value "SELECT * FROM pgkeeper.$view" >"$work/out" 2>"$work/err" && failed "anybody may read $view"
done

# Acts in SQL: what the operator may call and the monitor may not, each called; the monitor is refused.
value "SELECT 1 FROM pgkeeper.blob_store(NULL, NULL, '/default', NULL, 'p-' || repeat('0', 40) || '-' || repeat('1', 32), gen_random_uuid(),
    'x', decode(repeat('00', 20), 'hex'), sha256('x'))" >/dev/null
two_again() { [ "$(value "SELECT count(DISTINCT member_id) FROM pgkeeper.stat_contenders WHERE alive AND state IN ('leader', 'standby')")" = 2 ] &&
    [ "$(value "SELECT state FROM pgkeeper.stat_leaders WHERE component = 'dispatcher'")" = leading ]; }
while read -r function arguments; do
    echo "$function" >>"$work/acts"
    until_true 20 two_again
    PGUSER=as_monitor value "SELECT * FROM pgkeeper.$function$arguments" >"$work/out" 2>"$work/err" && failed "the monitor may call $function"
    stderr_has 'permission denied for function'
    PGUSER=as_operator value "SELECT * FROM pgkeeper.$function$arguments" >"$work/out" 2>"$work/err" || failed "the operator may not call $function"
done <<'TABLE'
find_leadership ('/default', 'dispatcher')
pause_elections ('/default', 'why')
resume_elections ('/default')
switchover ('/default', 'dispatcher', (SELECT member_name FROM pgkeeper.stat_contenders WHERE state = 'standby'))
request_handover ('/default', 'dispatcher')
kick ('/default', 'dispatcher')
purge ('/default', 'events', '1 day')
cleanup_job (NULL, NULL, '/default', gen_random_uuid())
cleanup_cluster (NULL, NULL, '/none')
blob_verify ('/default', NULL, 'p-0000000000000000000000000000000000000000-11111111111111111111111111111111')
blob_sweep ()
blob_remove_orphans ()
TABLE
may="SELECT proname FROM pg_proc WHERE pronamespace = 'pgkeeper'::regnamespace AND has_function_privilege('pgkeeper_operator', oid, 'EXECUTE')
    AND NOT has_function_privilege('pgkeeper_monitor', oid, 'EXECUTE') ORDER BY proname COLLATE \"C\""
[ "$(value "$may")" = "$(LC_ALL=C sort "$work/acts")" ] || failed "acts that are not tried: $(value "$may")"

# The audit says who did each.
same 'as_operator' "SELECT string_agg(DISTINCT role_name, ' ') FROM pgkeeper.event
    WHERE act IN ('pause', 'resume', 'request_handover', 'kick', 'verify blob')"
# Rows of tables: nobody but the application writes any, and that only those of the job stores.
same 'pgkeeper_application checkpoint checkpoint_counter job_graph job_result job_status job_store' \
    "SELECT string_agg(DISTINCT a.grantee::regrole::text, ' ') || ' ' || string_agg(DISTINCT c.relname, ' ' ORDER BY c.relname)
       FROM pg_class c, aclexplode(c.relacl) a WHERE c.relnamespace = 'pgkeeper'::regnamespace AND a.privilege_type <> 'SELECT' AND a.grantee <> c.relowner"
stop "$app" 0
stop "$heir" 0
echo "rights: all as expected"
