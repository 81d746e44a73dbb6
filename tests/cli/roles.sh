#!/usr/bin/env bash
# sql/roles.sql: each role can do what it is for, and nothing else; in a schema with an awkward name too. Every verb under
# every role is in rights.sh.
. "$(dirname "$0")/lib/common.sh"
superuser=$PGUSER
run_roles() { psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 "$@" --file="$PGK_SOURCE_DIR/sql/roles.sql" >"$work/out" 2>"$work/err"; }

run_roles && failed "worked without a schema"
stderr_has 'migrate up'
same 0 "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'pgkeeper%'"

pgkeeper migrate up 2>/dev/null
value "CREATE TABLE public.bystander (); CREATE ROLE somebody; ALTER TABLE public.bystander OWNER TO somebody" >/dev/null
run_roles || failed "roles.sql"
privileges="SELECT md5(string_agg(concat_ws(' ', o.name, a.grantee::regrole, a.privilege_type, o.owner::regrole), ',' ORDER BY o.name, a.grantee, a.privilege_type))
    FROM (SELECT relname::text, coalesce(relacl, acldefault('r', relowner)), relowner FROM pg_class WHERE relnamespace = 'pgkeeper'::regnamespace
          UNION ALL SELECT proname, proacl, proowner FROM pg_proc WHERE pronamespace = 'pgkeeper'::regnamespace) AS o(name, acl, owner),
         aclexplode(o.acl) AS a"
before=$(value "$privileges")
value "GRANT ALL ON ALL TABLES IN SCHEMA pgkeeper TO pgkeeper_application, PUBLIC" >/dev/null
run_roles || failed "roles.sql a second time"
same "$before" "$privileges"
same somebody "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'bystander'"
expect 0 migrate verify

for role in application monitor operator owner; do
    value "CREATE ROLE as_$role LOGIN IN ROLE pgkeeper_$role" >/dev/null
done
value "CREATE ROLE as_nothing LOGIN" >/dev/null
# may ROLE SQL, may_not ROLE SQL
may() { PGUSER=as_$1 value "$2" >"$work/out" 2>"$work/err" || failed "$1 may not: $2"; }
may_not() {
    PGUSER=as_$1 value "$2" >"$work/out" 2>"$work/err" && failed "$1 may: $2"
    stderr_has 'permission denied'
}

# What an application may read of leadership it may see in the views too; the audit is not its business.
PGUSER=as_application expect 0 leaders
PGUSER=as_application expect 3 history
stderr_has 'role "as_application" lacks a grant, see sql/roles.sql'

# The library as the application: elect, watch the change, switchover by the operator.
PGUSER=as_application contend app1 dispatcher --address app:1; app1=$pid
PGUSER=as_monitor expect 0 leader dispatcher --wait 20s
stdout_is app:1
PGUSER=as_application contend app2 dispatcher --address app:2; app2=$pid
both() { [ "$(value "SELECT count(*) FROM pgkeeper.stat_contenders WHERE alive")" = 2 ]; }
until_true 20 both
PGUSER=as_monitor "$PGK_TEST_COMMAND" watch >"$work/watch" 2>"$work/watch.err" & watcher=$!
children+=("$watcher")
until_true 20 grep -q app:1 "$work/watch"

for verb in leaders contenders history "history dispatcher" "migrate status"; do
    # shellcheck disable=SC2086
    PGUSER=as_monitor expect 0 $verb
    # shellcheck disable=SC2086
    PGUSER=as_operator expect 0 $verb
    # shellcheck disable=SC2086
    PGUSER=as_nothing expect 3 $verb
done
for verb in "resign dispatcher" "switchover dispatcher --to app2" "kick dispatcher --yes"; do
    # shellcheck disable=SC2086
    PGUSER=as_monitor expect 3 $verb
    # shellcheck disable=SC2086
    PGUSER=as_application expect 3 $verb
done
PGUSER=as_operator expect 0 switchover dispatcher --to app2
until_true 20 grep -q app:2 "$work/watch"
PGUSER=as_operator expect 0 resign dispatcher
kicked_before=$(value "SELECT max(epoch) FROM pgkeeper.leadership")
PGUSER=as_operator expect 0 kick dispatcher --yes
again() { [ "$(value "SELECT count(*) FROM pgkeeper.stat_leaders WHERE epoch > $kicked_before AND state = 'leading'")" = 1 ]; }
until_true 20 again
same as_operator "SELECT role_name FROM pgkeeper.event WHERE act = 'kick'"
stop "$watcher" 0
stop "$app1" 0
stop "$app2" 0

# The job stores: the application writes them, nobody else; the monitor sees all but the payloads.
job=00000000-0000-0000-0000-000000000001
may application "INSERT INTO pgkeeper.job_graph (cluster_id, job_id, graph, sha256) VALUES ('/default', '$job', '\\x01', sha256('\\x01'))"
may application "INSERT INTO pgkeeper.checkpoint (cluster_id, job_id, checkpoint_id, pointer, sha256, completed_at, op_id)
    VALUES ('/default', '$job', 1, 'p', sha256('p'), now(), '$job')"
may application "SET search_path = pgkeeper, pg_temp; SELECT may_write(NULL, NULL, '/default'), live_owners('/default', '$job')"
may application "SELECT * FROM pgkeeper.stat_jobs"
may_not nothing "SELECT * FROM pgkeeper.stat_jobs"
may_not application "UPDATE pgkeeper.leadership SET epoch = epoch + 1"
may_not application "TRUNCATE pgkeeper.job_graph"
for role in monitor operator; do
    for view in stat_jobs stat_results stat_checkpoints stat_summary; do
        may $role "SELECT * FROM pgkeeper.$view"
    done
    for table in job_graph job_result checkpoint; do
        may_not $role "SELECT * FROM pgkeeper.$table"
        may_not $role "DELETE FROM pgkeeper.$table"
    done
done
may_not monitor "SELECT pgkeeper.cleanup_job(NULL, NULL, '/default', '$job')"
same 1 "SELECT count(*) FROM pgkeeper.job_graph"
may operator "SELECT pgkeeper.cleanup_job(NULL, NULL, '/default', '$job')"
same 0 "SELECT count(*) FROM pgkeeper.job_graph"
may_not nothing "SELECT * FROM pgkeeper.stat_jobs"
same as_operator "SELECT role_name FROM pgkeeper.event WHERE act = 'cleanup_job'"
same pgkeeper_owner "SELECT DISTINCT pg_get_userbyid(typowner) FROM pg_type WHERE typnamespace = 'pgkeeper'::regnamespace AND typtype = 'd'"

# A leader that is logged in as a superuser: only a superuser ends its session, and is told how.
contend root root_only --group root_only --address here; root=$pid
expect 0 leader root_only --wait 20s
PGUSER=as_operator expect 3 kick root_only --yes
stderr_has 'role "pgkeeper_owner", the owner of kick(), may not end session'
stderr_has 'as a superuser: SELECT pg_terminate_backend('
expect 0 leader root_only
stop "$root" 0

# A row that somebody has pointed by hand to a large object of his own keeps nobody from cleaning up, and the object stays.
loid=$(value "SELECT lo_from_bytea(0, 'mine')")
value "INSERT INTO pgkeeper.blob (loid, cluster_id, job_id, blob_key, size, sha1, sha256)
    VALUES ($loid, '/default', '$job', 'p-' || repeat('0', 40) || '-' || repeat('1', 32), 4, decode(repeat('00', 20), 'hex'), sha256('mine'))"
may operator "SELECT state, reason FROM pgkeeper.blob_verify('/default', '$job', 'p-' || repeat('0', 40) || '-' || repeat('1', 32))"
stdout_has 'damaged|its large object belongs to another role'
may operator "SELECT pgkeeper.cleanup_job(NULL, NULL, '/default', '$job')"
stderr_has "large object $loid belongs to another role than \"pgkeeper_owner\" and stays"
may operator "SELECT pgkeeper.blob_sweep()"
same 'mine|0|0' "SELECT convert_from(lo_get($loid), 'UTF8'), (SELECT count(*) FROM pgkeeper.blob), (SELECT count(*) FROM pgkeeper.blob_loose)"
value "SELECT lo_unlink($loid)" >/dev/null

# Tables cannot be written but by the owner; functions are the way.
for role in application monitor operator nothing; do
    for table in leadership leader member event leader_history schema_meta schema_history; do
        may_not $role "DELETE FROM pgkeeper.$table WHERE false"
        may_not $role "TRUNCATE pgkeeper.$table"
    done
    may_not $role "CREATE TABLE pgkeeper.mine ()"
    may_not $role "SELECT pgkeeper.clear_fence(1)"
done
may application "SELECT count(*) FROM pgkeeper.leader"
may_not application "SELECT * FROM pgkeeper.event"
may monitor "SELECT pgkeeper.is_held(1), pgkeeper.is_alive(1)"
may_not monitor "SELECT * FROM pgkeeper.job_graph"
may_not monitor "SELECT pgkeeper.take_over(1, 1, gen_random_uuid(), 'immediate', 1, 1, 1, 1)"
may_not application "SELECT pgkeeper.kick('/default', 'dispatcher')"
may monitor "SELECT * FROM pgkeeper.event"
may owner "DELETE FROM pgkeeper.event WHERE false"
may owner "SET ROLE pgkeeper_owner; CREATE TABLE pgkeeper.mine (); DROP TABLE pgkeeper.mine"
may_not nothing "SELECT * FROM pgkeeper.stat_leaders"
same 0 "SELECT count(*) FROM pg_namespace n, aclexplode(n.nspacl) a WHERE n.nspname = 'pgkeeper' AND a.grantee = 0"

# The owner migrates.
PGUSER=as_owner PGOPTIONS='-c role=pgkeeper_owner' expect 0 migrate status
value "GRANT CREATE ON DATABASE postgres TO pgkeeper_owner" >/dev/null
PGUSER=as_owner PGOPTIONS='-c role=pgkeeper_owner' expect 0 migrate verify
PGUSER=as_owner PGOPTIONS='-c role=pgkeeper_owner' expect 0 --schema owned migrate up
same pgkeeper_owner "SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'owned'"

# Awkward names.
pgkeeper --schema 'odd "S"' migrate up 2>/dev/null
run_roles --set=schema='odd "S"' --set=owner='o "w"' --set=application="a'pp" --set=monitor='m m' --set=operator='OP' || failed "awkward names"
expect 0 --schema 'odd "S"' migrate verify
value "CREATE ROLE \"as odd\" LOGIN IN ROLE \"a'pp\"" >/dev/null
PGUSER='as odd' contend odd thing --address odd:1 --schema 'odd "S"'; odd=$pid
expect 0 --schema 'odd "S"' leader thing --wait 20s
stdout_is odd:1
stop "$odd" 0

# No superuser anywhere: a role that may make roles, in a database of its own.
value "CREATE ROLE landlord LOGIN CREATEROLE"
value "CREATE DATABASE estate OWNER landlord"
PGUSER=landlord PGDATABASE=estate expect 0 migrate up
for round in first second; do
    PGUSER=landlord PGDATABASE=estate run_roles --set=owner=e_owner --set=application=e_app --set=monitor=e_monitor \
        --set=operator=e_operator || failed "roles.sql as landlord, $round time"
done
PGDATABASE=estate same e_owner "SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'pgkeeper'"
value "CREATE ROLE as_tenant LOGIN IN ROLE e_app"
PGUSER=as_tenant PGDATABASE=estate contend tenant thing --address estate:1; tenant=$pid
PGUSER=landlord PGDATABASE=estate expect 0 leader thing --wait 20s
stdout_is estate:1
stop "$tenant" 0
echo "roles: all as expected ($superuser)"
