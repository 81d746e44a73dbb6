#!/usr/bin/env bash
# Who owns a job graph, as the statements of the library see it: sessions and transactions of their own, because a
# recovery claims what its snapshot saw.
. "$(dirname "$0")/lib/common.sh"
pgkeeper migrate up 2>/dev/null
{
    echo 'SET search_path = pgkeeper, pg_temp;'
    for name in start stop put remove recover recover_all release; do
        printf 'PREPARE %s_ AS\n' "$name"
        cat "$PGK_SOURCE_DIR/sql/job_graph/$name.sql"
        echo ';'
    done
} >"$work/prepare.sql"
run() { psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 --file="$work/prepare.sql" --command="$1"; }
answers() { # answers WANTED SQL
    local got
    got=$(run "$2" 2>&1)
    [ "$got" = "$1" ] || failed "expected \"$1\", got \"$got\" from: $2"
}
id() { printf "'00000000-0000-0000-0000-0000000000%s'" "$1"; }
owners() { # WANTED, by the function and by the view
    answers "$1" "SELECT coalesce(string_agg(right(o::text, 2), ' ' ORDER BY o), '') FROM unnest(live_owners('c', $(id 01))) o"
    answers "$1" "SELECT coalesce(string_agg(right(o::text, 2), ' ' ORDER BY o), '') FROM stat_jobs j, unnest(j.live_owners) o
                   WHERE j.cluster_id = 'c' AND j.job_id = $(id 01)"
}

value "INSERT INTO pgkeeper.leadership (id, cluster_id, group_name, epoch, session_id, member_id, taken_at) OVERRIDING SYSTEM VALUE
    VALUES (1001, 'c', 'one', 7, gen_random_uuid(), 1, now()), (1002, 'c', 'two', 9, gen_random_uuid(), 2, now())" >/dev/null
value "INSERT INTO pgkeeper.tenure SELECT id, cluster_id, epoch, session_id, member_id, now(), now(), 'immediate', 1, 1, 1, 1, true FROM pgkeeper.leadership" >/dev/null
mkfifo "$work/leader"
psql --no-psqlrc --quiet --tuples-only --no-align <"$work/leader" >"$work/leader.out" 2>&1 &
children+=($!)
exec 7>"$work/leader"
echo "SET search_path = pgkeeper;
    INSERT INTO member (id, incarnation, cluster_id, name, backend_pid, client_version) OVERRIDING SYSTEM VALUE
    SELECT n, gen_random_uuid(), 'c', 'm' || n, pg_backend_pid(), 'test' FROM generate_series(1, 2) n;
    SELECT pg_advisory_lock(lock_class('leadership'), id) FROM leadership; SELECT listen('c'); SELECT 'ready';" >&7
until_true 20 grep -q ready "$work/leader.out"

answers "done" "EXECUTE start_(1001, 7, 'c', $(id a1), true)"
answers "done" "EXECUTE start_(1002, 9, 'c', $(id a3), false)"
answers "done|1|" "EXECUTE put_(1001, 7, 'c', $(id 01), $(id a1), $(id b1), NULL, '\x01', sha256('\x01'))"
owners a1
# The snapshot of a recovery: what was there is claimed, what comes later is not.
run "EXECUTE recover_all_('c', $(id a3))" >/dev/null
owners "a1 a3"
answers "owned|{00000000-0000-0000-0000-0000000000a3}" "EXECUTE remove_(1001, 7, 'c', $(id 01), $(id a1), $(id b1))"
answers "done|1|" "EXECUTE put_(1001, 7, 'c', $(id 02), $(id a1), $(id b2), NULL, '\x01', sha256('\x01'))"
answers "{00000000-0000-0000-0000-0000000000a1}" "SELECT live_owners('c', $(id 02))"
# A replacement changes no owner; a release does; a recovery after it claims anew.
answers "done|2|" "EXECUTE put_(1001, 7, 'c', $(id 01), $(id a1), $(id b3), $(id b1), '\x02', sha256('\x02'))"
owners "a1 a3"
answers "done" "EXECUTE release_(1002, 9, 'c', $(id 01), $(id a3))"
owners a1
run "EXECUTE recover_all_('c', $(id a3))" >/dev/null
owners "a1 a3"
# Released from all, then recovered alone.
answers "done" "EXECUTE release_(1002, 9, 'c', $(id 01), $(id a3))"
run "EXECUTE recover_(1002, 9, 'c', $(id 01), $(id a3))" >/dev/null
owners "a1 a3"
answers "done" "EXECUTE release_(1002, 9, 'c', $(id 01), $(id a3))"
owners a1
run "EXECUTE recover_all_('c', $(id a3))" >/dev/null
# Nobody is told of a graph that the only listener put itself; of another's it is.
same 0 "SELECT count(*) FROM pgkeeper.event WHERE by_hand AND act LIKE '%job_graph'"
echo "SELECT 'so far';" >&7
until_true 20 grep -q 'so far' "$work/leader.out"
grep -q 'payload "job_graph"' "$work/leader.out" && failed "a store was told of its own graph"
answers "done|1|" "EXECUTE put_(1002, 9, 'c', $(id 03), $(id a3), $(id b4), NULL, '\x01', sha256('\x01'))"
told() { echo "SELECT 1;" >&7 && grep -q 'payload "job_graph"' "$work/leader.out"; }
until_true 20 told
# A leader that is gone owns nothing: its lock is free, or its epoch has passed.
owners "a1 a3"
value "UPDATE pgkeeper.leadership SET epoch = epoch + 1 WHERE id = 1002" >/dev/null
owners a1
exec 7>&-
gone() { [ "$(value "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 'pgkeeper.leadership'::regclass")" = 0 ]; }
until_true 20 gone
owners ""
# An unfenced store may then remove it; the next start forgets the stores of tenures that are over.
answers "done|{}" "EXECUTE remove_(NULL, NULL, 'c', $(id 01), NULL, NULL)"
value "UPDATE pgkeeper.tenure SET session_id = gen_random_uuid() WHERE leadership_id = 1002" >/dev/null
answers "done" "EXECUTE start_(1002, 10, 'c', $(id a4), false)"
same "a1 a4" "SELECT string_agg(right(store_id::text, 2), ' ' ORDER BY store_id) FROM pgkeeper.job_store"
echo "ownership: all as expected"
