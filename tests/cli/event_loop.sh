#!/usr/bin/env bash
# examples/event_loop.c as a user runs it: one thread, a loop of its own, elected, confirmed, cleaning up what a
# former leader left, also when it must be tried again, and handing over.
. "$(dirname "$0")/lib/common.sh"
pgkeeper migrate up 2>/dev/null
example=$PGK_BUILD_DIR/examples/event_loop
cluster=loops
export PGKEEPER_HIGH_AVAILABILITY_CLUSTER_ID=$cluster
export PGKEEPER_HIGH_AVAILABILITY_POSTGRES_STATEMENT_TIMEOUT='300 ms'
export PGKEEPER_CLEANUP_STRATEGY=fixed-delay PGKEEPER_CLEANUP_STRATEGY_FIXED_DELAY_DELAY='100 ms'

saw() { grep -q -- "$2" "$work/$1"; } # NAME PATTERN
loop() { # NAME ARGUMENT...
    local name=$1
    shift
    "$example" "$name" "$@" >"$work/$name" 2>&1 </dev/null &
    pid=$!
    children+=("$pid")
}
job() { printf '000000000000000000000000000000%02d' "$1"; }
# A job that has ended, with something left of it.
leave() { # NUMBER
    value "INSERT INTO pgkeeper.job_result (cluster_id, job_id, status) VALUES ('$cluster', '$(job "$1")', 'FINISHED');
        INSERT INTO pgkeeper.job_status (cluster_id, job_id, status) VALUES ('$cluster', '$(job "$1")', 'DONE')"
}
clean_are() { # LIST
    [ "$(value "SELECT string_agg(right(job_id::text, 2), ' ' ORDER BY job_id) FROM pgkeeper.job_result
        WHERE cluster_id = '$cluster' AND state = 'clean'")" = "$1" ]
}

leave 2
loop one one:1 "$(job 1)"; one=$pid
until_true 20 saw one 'one: granted epoch'
until_true 20 saw one 'one: confirmed'
until_true 20 saw one 'one: the leader is one:1'
until_true 20 clean_are '01 02'
until_true 20 saw one "one: cleaned up $(job 1), tried 1 times"
until_true 20 saw one "one: cleaned up $(job 2), tried 1 times"
same 0 "SELECT count(*) FROM pgkeeper.job_status WHERE cluster_id = '$cluster'"
[ "$(pgkeeper leader dispatcher)" = one:1 ] || failed "it does not lead"
# All callbacks are the loop's: the library has no thread for them.
! cat /proc/"$one"/task/*/comm | grep -q pgk-notifier || failed "a notifier"
cat /proc/"$one"/task/*/comm | grep -q pgk-keeper || failed "no keeper: the look at threads is wrong"

# The next leader meets a row that somebody holds: it is tried until that lets go.
loop two two:2; two=$pid
until_true 20 saw two 'two: the leader is one:1'
leave 3
mkfifo "$work/sql"
psql --no-psqlrc --quiet --output="$work/locked" <"$work/sql" &
children+=("$!")
exec 9>"$work/sql"
echo "BEGIN; SELECT 'held' FROM pgkeeper.job_status WHERE job_id = '$(job 3)' FOR UPDATE;" >&9
until_true 20 grep -q held "$work/locked"
kill -KILL "$one"
until_true 20 saw two 'two: confirmed'
until_true 20 saw two 'two: the leader is two:2'
waits() { [ "$(value "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'
    AND application_name LIKE 'pgkeeper:%'")" -ge 1 ]; }
until_true 20 waits
first=$(value "SELECT clock_timestamp()")
later() { [ "$(value "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'
    AND application_name LIKE 'pgkeeper:%' AND query_start > timestamptz '$first'")" -ge 1 ]; }
until_true 20 later # another try
clean_are '01 02' || failed "cleaned up under a lock"
echo 'COMMIT; \q' >&9
exec 9>&-
until_true 20 clean_are '01 02 03'
until_true 20 saw two "two: cleaned up $(job 3), tried [1-9][0-9]* times"
! saw two 'tried 1 times' || failed "it was not tried again"

stop "$two" 0
saw two 'two: revoked' || failed "no revoke"
expect 4 leader dispatcher

# Without a server, in the builds that have that mode.
code=0
PGKEEPER_HIGH_AVAILABILITY_TYPE=embedded PGPORT=1 "$example" three three:3 "$(job 4)" >"$work/three" 2>&1 </dev/null &
three=$!
children+=("$three")
ended() { saw three 'cleaned up' || ! kill -0 "$three" 2>/dev/null; }
until_true 20 ended
if saw three 'has only postgres\|only postgres'; then
    echo "no embedded mode in this build"
else
    saw three "three: cleaned up $(job 4), tried 1 times" || failed "not in embedded mode: $(cat "$work/three")"
    stop "$three" "$code"
    saw three 'three: revoked' || failed "no revoke in embedded mode"
fi
