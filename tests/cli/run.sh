#!/usr/bin/env bash
# pgkeeper run as shells and service managers start it: signals that the caller ignores, a reader of its words that goes
# away, a wait of no length. What it does to its command is in tests/postgres/test_run.c and tests/faults/test_run.c.
. "$(dirname "$0")/lib/common.sh"
expect 0 migrate up

# Nobody reads on: the command goes on, and its exit code is ours.
{
    "$PGK_TEST_COMMAND" run --component alone -- sh -c 'sleep 0.3; exit 5' </dev/null 2>&1 >/dev/null && code=0 || code=$?
    echo "$code" >"$work/code"
} | true
[ "$(cat "$work/code")" = 5 ] || failed "exit code $(cat "$work/code") when nobody reads its words"

# As nohup starts it: SIGHUP means nothing, while it waits too.
"$PGK_TEST_COMMAND" run --component job --address leader:1 -- sleep 1000 </dev/null >/dev/null 2>&1 &
leader=$!
children+=("$leader")
leads() { [ "$("$PGK_TEST_COMMAND" leader job 2>/dev/null)" = leader:1 ]; }
until_true 20 leads
trap '' HUP
PGKEEPER_MEMBER_NAME=patient "$PGK_TEST_COMMAND" run --component job -- sh -c 'exit 7' </dev/null >/dev/null 2>&1 &
patient=$!
children+=("$patient")
trap - HUP
waits() { [ "$(value "SELECT state FROM pgkeeper.stat_contenders WHERE member_name = 'patient'")" = standby ]; }
until_true 20 waits
kill -HUP "$patient"
waits || failed "it ended on a signal that its caller ignores"
stop "$leader" 143
got=0
wait "$patient" || got=$?
[ "$got" = 7 ] || failed "it ended with $got on a signal that its caller ignores"

expect 124 -d host=/nonexistent run --wait 5ms -- true
