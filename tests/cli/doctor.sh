#!/usr/bin/env bash
# The lines of `doctor` that other cases leave at ok, driven into warn and fail: connections of a server that has few, the
# queue of notifications behind a listener that does not end its transaction, a session of ours with an old snapshot.
. "$(dirname "$0")/lib/common.sh"

# doctor CODE CHECK STATE WORDS
doctor() {
    expect "$1" doctor --format csv
    grep -qE "^$2,$3,.*$4" "$work/out" || failed "doctor: no $2 $3 $4"
}
# session NAME: a psql that stays; tell NAME SQL waits until it has been run. Its pid is ${pid_of[NAME]}.
declare -A pid_of fd_of
session() {
    mkfifo "$work/$1.in"
    PGAPPNAME=$1 psql --no-psqlrc --quiet --tuples-only --no-align <"$work/$1.in" >"$work/$1.out" 2>&1 &
    pid_of[$1]=$!
    children+=($!)
    exec {fd}>"$work/$1.in"
    fd_of[$1]=$fd
}
tell() {
    : >"$work/$1.out"
    printf '%s;\n\\echo done\n' "$2" >&"${fd_of[$1]}"
    until_true 60 grep -q '^done$' "$work/$1.out"
}
# The statement of a check with other bounds: to wait for the real ones takes minutes, or gigabytes.
lowered() { # lowered FILE BOUND NEW...
    local sql
    sql=$(cat "$PGK_SOURCE_DIR/src/cli/sql/doctor/$1")
    shift
    while [ $# -gt 0 ]; do
        grep -qF "> $1 " <<<"$sql" || failed "no bound $1"
        sql=${sql//"> $1 "/"> $2 "}
        shift 2
    done
    value "$sql"
}

# --- connections: 24, of which 3 are for superusers.
mkfifo "$work/enough"
"$PGK_TEST_COMMAND" server --migrate --set max_connections=24 -- \
    sh -c 'echo "$PGHOST $PGPORT" >"$1/small.new" && mv "$1/small.new" "$1/small" && read -r enough <"$1/enough"' sh "$work" 2>/dev/null &
children+=($!)
until_true 30 test -s "$work/small"
before=$PGHOST:$PGPORT
read -r PGHOST PGPORT <"$work/small"
doctor 1 connections ok '(19|20) free'
for n in 1 2 3 4 5 6 7; do session "few$n"; tell "few$n" 'SELECT 1'; done
doctor 1 connections warn '(12|13) free.*raise max_connections'
for n in 8 9 10 11 12 13 14 15 16 17; do session "few$n"; tell "few$n" 'SELECT 1'; done
doctor 1 connections fail '[234] free.*a master that cannot connect cannot lead'
for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17; do kill -KILL "${pid_of[few$n]}"; done
settled() { "$PGK_TEST_COMMAND" doctor --format csv 2>/dev/null | grep -q '^connections,ok'; }
until_true 20 settled
echo >"$work/enough"
PGHOST=${before%:*} PGPORT=${before##*:}
echo connections

# --- notifications: 440 MB of them, which a listener keeps from being thrown away.
expect 0 migrate up
doctor 1 notifications ok '0.0 % full'
session ear
tell ear 'LISTEN noise'
tell ear 'BEGIN; SELECT 1'
value "DO \$\$ BEGIN FOR i IN 1..28 LOOP
    PERFORM pg_notify('noise', rpad(n::text, 4200)) FROM generate_series(1, 2000) n; COMMIT; END LOOP; END \$\$"
doctor 1 notifications warn '5.3 % full.*a session listens in a transaction that does not end'
[ "$(lowered queue.sql 0.5 0.051 | cut -d '|' -f 1)" = fail ] || failed "the queue is not over a lowered bound"
tell ear 'COMMIT'
tell ear 'SELECT 1'
value "NOTIFY noise" >/dev/null
emptied() { "$PGK_TEST_COMMAND" doctor --format csv 2>/dev/null | grep -q '^notifications,ok,notification queue 0.0 %'; }
until_true 20 emptied
echo notifications

# --- horizon: of our sessions only, and only while they hold a snapshot.
doctor 1 horizon ok 'no session of pgkeeper holds back VACUUM'
session other
tell other 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1'
session 'pgkeeper test'
tell 'pgkeeper test' 'BEGIN'
doctor 1 horizon ok 'no session of pgkeeper holds back VACUUM'
tell 'pgkeeper test' 'SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT 1'
doctor 1 horizon ok '""pgkeeper test"" has held its snapshot for [0-9.]+ s'
# Who may not look at the sessions of others is told so, not of an age of 0.
psql --no-psqlrc --quiet --file "$PGK_SOURCE_DIR/sql/roles.sql" >/dev/null
value "CREATE ROLE onlooker LOGIN IN ROLE pgkeeper_monitor" >/dev/null
PGUSER=onlooker doctor 1 horizon ok '""pgkeeper test"" has held its snapshot for [0-9]+ transactions'
old() { [ "$(lowered horizon.sql "$@" | cut -d '|' -f 1)" = "$state" ]; }
state=warn; until_true 20 old 60 0.1
state=fail; until_true 20 old 60 0.1 300 0.2
lowered horizon.sql 60 0.1 | grep -q 'a large recovery, or a program that stands still' || failed "horizon: no cure"
tell 'pgkeeper test' COMMIT
doctor 1 horizon ok 'no session of pgkeeper holds back VACUUM'
echo horizon
