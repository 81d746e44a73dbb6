#!/usr/bin/env bash
# A session that ends under the command: said as what it is, with its exit code, whatever libpq makes of it.
. "$(dirname "$0")/lib/common.sh"

# The COMMIT of a migration is never answered: nobody knows whether it took place, and that is said. It takes a
# trigger that waits for the COMMIT, made the moment its table is.
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 >/dev/null <<'SQL'
CREATE FUNCTION public.end_session() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_catalog.pg_terminate_backend(pg_catalog.pg_backend_pid()); PERFORM pg_catalog.pg_sleep(60); RETURN NULL; END $$;
CREATE FUNCTION public.lay_trap() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_event_trigger_ddl_commands() WHERE object_identity = 'pgkeeper.schema_history') THEN
        CREATE CONSTRAINT TRIGGER trap AFTER INSERT ON pgkeeper.schema_history DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION public.end_session();
    END IF;
END $$;
CREATE EVENT TRIGGER trap ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION public.lay_trap();
SQL
expect 5 migrate up
stderr_has "terminating connection due to administrator command"
stderr_has "the connection was lost in COMMIT: look with pgkeeper migrate status"
value "DROP EVENT TRIGGER trap" >/dev/null
expect 0 migrate up

# By a unix socket that the server has closed libpq cannot send, but reads the server's last warning and then calls
# the connection good. (A server process that is told to quit takes the others with it: the server recovers.)
wait_for_leader() { PGAPPNAME=victim "$PGK_TEST_COMMAND" leader nobody --wait 60s >"$work/out" 2>"$work/err" </dev/null; }
victim_is_there() { victim=$(value "SELECT pid FROM pg_stat_activity WHERE application_name = 'victim'") && [ -n "$victim" ]; }
for how in TERM QUIT; do
    wait_for_leader & pid=$!
    children+=("$pid")
    until_true 20 victim_is_there
    kill -s "$how" "$victim"
    code=0
    wait "$pid" || code=$?
    [ "$code" = 3 ] || failed "exit code $code instead of 3 after SIG$how"
    stderr_has "server closed the connection unexpectedly"
    until_true 20 value "SELECT 1"
done
echo "lost_session: all as expected"
