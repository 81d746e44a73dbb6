#!/usr/bin/env bash
# The three verbs that an operator asks at night, in each state, driven with real processes: `status --check`, `doctor` and
# `top` say the same of it, and the truth. A standby, a promoted server and a lost synchronous standby are in
# tests/faults/test_operator.c; the rest of what the verbs print in operations.sh.
. "$(dirname "$0")/lib/common.sh"

# state NAME CHECK_CODE CHECK_WORDS DOCTOR_CODE DOCTOR_LINE TOP_CODE TOP_WORDS: DOCTOR_LINE is a pattern of the csv. Changes
# of state take a moment, so the first is waited for.
says() { "$PGK_TEST_COMMAND" status --check 2>/dev/null | grep -qF -- "$1"; }
state() {
    local name=$1
    until_true 20 says "$3"
    expect "$2" status --check
    [ "$(wc -l <"$work/out")" = 1 ] || failed "$name: not one line"
    stdout_has "$3"
    expect "$4" doctor --format csv
    grep -qE -- "$5" "$work/out" || failed "$name: doctor has no $5"
    expect "$6" top --once --columns 160
    cat "$work/err" >>"$work/out"
    stdout_has "$7"
    echo "$name"
}
leads() { [ "$("$PGK_TEST_COMMAND" leader dispatcher 2>/dev/null)" = "$1" ]; }

# The schema.
missing='CRITICAL: the schema is missing, too old or too new'
state 'no schema' 2 "$missing" 6 '^schema,fail' 6 'has no pgkeeper schema'
expect 0 migrate up --to 1
state 'schema too old' 2 "$missing" 6 '^schema,fail' 6 'at version 1, this command needs'
expect 0 migrate up
value "UPDATE pgkeeper.schema_meta SET min_client_schema = 999" >/dev/null
state 'schema too new' 2 "$missing" 6 '^schema,fail' 6 'install a newer pgkeeper'
value "UPDATE pgkeeper.schema_meta SET min_client_schema = 1" >/dev/null

# Contenders.
state 'nobody ever' 2 'CRITICAL: nobody has ever contended' 1 '^leaders,fail,.*nobody has ever' 0 'CRITICAL: nobody has ever contended'
contend alice dispatcher --address alice:1; alice=$pid
until_true 20 leads alice:1
state 'one contender' 1 'WARNING: too few standbys of group "master"; group "master" led by "alice"' \
    0 '^leaders,warn,.*too few standbys' 0 'WARNING: too few standbys'
contend bob dispatcher --address bob:2; bob=$pid
state 'two contenders' 0 'OK: group "master" led by "alice" (epoch 1.1); 1 standby' 0 '^leaders,ok,.*led by ""alice""' 0 'OK: group "master" led by "alice"'

# The leader stopped: its session ends after a while, and the other leads. It comes back as a standby.
kill -STOP "$alice"
state 'leader stopped' 1 'WARNING: too few standbys of group "master"; group "master" led by "bob" (epoch 1.2)' \
    0 '^leaders,warn,.*led by ""bob""' 0 'led by "bob" (epoch 1.2)'
kill -CONT "$alice"
state 'it goes on' 0 'OK: group "master" led by "bob" (epoch 1.2); 1 standby' 0 '^leaders,ok,' 0 'OK: group'
# Its session ended by force: no standby is missing for long.
expect 0 kick dispatcher --yes
state 'leader kicked' 0 '(epoch 1.3); 1 standby' 0 '^leaders,ok,' 0 '(epoch 1.3); 1 standby'
expect 0 resign dispatcher
state 'leader resigned' 0 '(epoch 1.4); 1 standby' 0 '^leaders,ok,' 0 '(epoch 1.4); 1 standby'

# Paused, with a leader and without.
expect 0 pause --reason drill
state 'paused' 1 'WARNING: elections paused since ' 0 '^elections,warn,.*paused by .* \(drill\)' 0 'WARNING: elections paused since '
kill -KILL "$alice" "$bob"
state 'leader dead, paused' 2 'CRITICAL: no leader of group "master"; elections paused since ' \
    1 '^elections,fail,.*1 of 1 groups without a leader' 0 'CRITICAL: no leader of group "master"; elections paused'
expect 0 resume
state 'leader dead, nobody there' 2 'CRITICAL: no leader of group "master"' 1 '^leaders,fail,.*no leader' 0 'CRITICAL: no leader of group "master"'

# In its grace: after that unclean end an exclusive leader waits.
PGKEEPER_HIGH_AVAILABILITY_POSTGRES_GRACE='30 s' contend carol dispatcher --take-over exclusive --address carol:3; carol=$pid
state 'leader in its grace' 1 'WARNING: leader in its grace of group "master"' 0 '^leaders,warn,.*in its grace' 0 'WARNING: leader in its grace'
stop "$carol" 0
# Given up within it, and then given up for good: nobody contends. The one before is not there to be waited for.
contend dave dispatcher --address dave:4; dave=$pid
until_true 20 leads dave:4
state 'led again' 1 'led by "dave"' 0 '^leaders,warn,' 0 'led by "dave"'

# A stranger holds the lock of another group: nobody leads it.
contend erin other --group other --address erin:5; erin=$pid
state 'two groups' 1 'WARNING: too few standbys of group "master", "other"' 0 '^leaders,warn,' 0 'too few standbys of group "master", "other"'
stop "$erin" 0
stranger_holds "group_name = 'other'"
state 'lock held by a stranger' 1 'led by "dave"' 1 '^locks,fail,.*stranger""\) holds the lock of leadership' 0 'led by "dave"'
# The locks of a dead member and of a fence, too: it is dead all the same.
dead=$(value "SELECT member_id FROM pgkeeper.stat_contenders WHERE member_name = 'alice' AND state = 'gone' LIMIT 1")
stranger_asks "SELECT pg_advisory_lock(pgkeeper.lock_class('pgkeeper.member'), $dead), 'third'"
stranger_asks "SELECT pg_advisory_lock(pgkeeper.lock_class('pgkeeper.leader'), id), 'fourth' FROM pgkeeper.leadership WHERE group_name = 'other'"
until_true 20 stranger_has fourth
state 'lock of a dead member held by a stranger' 1 'led by "dave"' 1 "^locks,fail,.*holds the fence of leadership.*holds the lock of member $dead" 0 'led by "dave"'
[ "$(value "SELECT state FROM pgkeeper.stat_contenders WHERE member_id = $dead")" = gone ] || failed "member $dead looks alive"
# It is next in the queue for the lock of a leader that dies: that leader is dead all the same.
stranger_asks "SELECT pg_advisory_lock(pgkeeper.lock_class('pgkeeper.leadership'), id), 'last' FROM pgkeeper.leadership WHERE group_name = 'master'"
queues() { [ "$(value "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'stranger' AND wait_event_type = 'Lock'")" = 1 ]; }
until_true 20 queues
kill -KILL "$dave"
until_true 20 stranger_has last
state 'lock of a dead leader taken by a stranger' 2 'CRITICAL: no leader of group "master"' 1 '^locks,fail,.*stranger' 0 'CRITICAL: no leader'
expect 4 leader dispatcher
expect 0 metrics
stdout_has 'pgkeeper_group_led{cluster="/default",group="master"} 0'
stranger_leaves
# Nobody comes to take over: its tenure can be closed, and then nothing is amiss but that nobody is there.
expect 0 kick dispatcher --yes
stdout_has dave
expect 4 kick dispatcher --yes
state 'lost and kicked' 2 'CRITICAL: nobody contends' 1 '^leaders,fail,.*nobody contends' 0 'CRITICAL: nobody contends'
contend dave dispatcher --address dave:4; dave=$pid
until_true 20 leads dave:4

# Another group has lost its leader: the standby is not its own. Given up cleanly it does not count any more.
contend eve dispatcher --address eve:6; eve=$pid
until_true 20 says 'OK: group "master" led by "dave" (epoch'
contend gone dispatcher --group gone --address gone:9; gone=$pid
until_true 20 grep -q granted "$work/gone"
kill -KILL "$gone"
state 'another leader dead' 2 'CRITICAL: no leader of group "gone"' 1 '^leaders,fail,' 0 'CRITICAL: no leader of group "gone"'
expect 2 status --check
stdout_is 'CRITICAL: no leader of group "gone"'
expect 0 top --once --columns 200
awk '$1 == "gone" && $0 ~ /lost/ && $0 ~ /:[0-9][0-9]:[0-9][0-9]/ { exit 1 }' "$work/out" || failed 'a lost leader leads on in top'
# Names of many groups do not make the line endless; in top they do not hide the lease.
group='a group whose name is long '
for i in 1 2 3 4 5 6 7; do
    contend "many$i" dispatcher --group "$group$i" --address "many:$i"; many[i]=$pid
done
few='too few standbys of group "a group whose name is long 1", "a group whose name is long 2", "a group whose name is long 3", "a group whose name is long 4", "a group whose name is long 5" and 2 more'
until_true 20 says "$few"
expect 0 top --once --columns 80
grep -qE "^$group""1 +leading +1\.1 +[0-9]+ +[0-9]+ " "$work/out" || failed 'no epoch and lease in 80 columns'
for i in 1 2 3 4 5 6 7; do stop "${many[i]}" 0; done
contend gone dispatcher --group gone --address gone:9; gone=$pid
until_true 20 grep -q granted "$work/gone"
stop "$gone" 0
stop "$eve" 0

# Read-only.
value "ALTER DATABASE postgres SET default_transaction_read_only = on" >/dev/null
state 'read-only' 2 'CRITICAL: the database is read-only: nobody can take over or write' 1 '^recovery,fail,.*default_transaction_read_only' \
    0 'CRITICAL: the database is read-only'
PGOPTIONS='-c default_transaction_read_only=off' value "ALTER DATABASE postgres RESET default_transaction_read_only" >/dev/null
# Of the role that looks, which is as it should be.
value "ALTER ROLE CURRENT_USER SET default_transaction_read_only = on" >/dev/null
state 'a role that only reads' 1 'led by "dave"' 0 '^recovery,ok,.*is on for role' 0 'led by "dave"'
PGOPTIONS='-c default_transaction_read_only=off' value "ALTER ROLE CURRENT_USER RESET default_transaction_read_only" >/dev/null

# A lock that VACUUM FULL takes: no probe waits for it for long, and each says so.
mkfifo "$work/locker"
psql --no-psqlrc --quiet --tuples-only --no-align <"$work/locker" >"$work/locker.out" &
children+=($!)
exec 7>"$work/locker"
echo "BEGIN; LOCK TABLE pgkeeper.leadership IN ACCESS EXCLUSIVE MODE; SELECT 'ready';" >&7
until_true 20 grep -q ready "$work/locker.out"
began=$SECONDS
expect 2 status --check
stdout_is 'CRITICAL: the database did not answer in time'
expect 5 metrics
stdout_has 'pgkeeper_up 0'
expect 1 doctor --format csv
grep -qE '^leaders,fail,.*lock timeout' "$work/out" || failed 'doctor does not say that it waited'
[ $((SECONDS - began)) -lt 30 ] || failed 'they waited too long'
exec 7>&-
echo 'tables locked'

# A role at its CONNECTION LIMIT, on a server with room.
value "CREATE ROLE limited LOGIN CONNECTION LIMIT 1" >/dev/null
mkfifo "$work/limited"
PGUSER=limited psql --no-psqlrc --quiet --tuples-only --no-align --dbname=postgres <"$work/limited" >"$work/limited.out" &
children+=($!)
exec 7>"$work/limited"
echo "SELECT 'ready';" >&7
until_true 20 grep -q ready "$work/limited.out"
state 'no connection left for a role' 1 'led by "dave"' 1 '^connections,fail,.*role ""limited"" has 1 of its 1' 0 'led by "dave"'
exec 7>&-

# Behind a transaction pooler: what it reads is true, and doctor says that a master needs more. What keeps something in its
# session is refused. Nothing of it stays in the server's session, which is another client's next.
settings="SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings WHERE source = 'session'
             AND name <> 'application_name' AND name NOT IN ('client_encoding', 'standard_conforming_strings', 'DateStyle', 'TimeZone')"
if start_pooler; then
    direct=$PGHOST:$PGPORT
    export PGHOST=127.0.0.1 PGPORT=$pooler_port
    state 'pooler' 1 'led by "dave"' 1 '^pooler,fail,' 0 'led by "dave"'
    for verb in status leaders contenders history 'leader dispatcher' metrics version 'migrate status' 'jobs ls' 'results ls' \
        'checkpoints ls' 'blobs ls' orphans 'pause --reason pooled' resume; do
        # shellcheck disable=SC2086
        expect 0 $verb
    done
    for verb in 'migrate up' 'migrate verify' 'watch dispatcher' 'elect dispatcher'; do
        # shellcheck disable=SC2086
        expect 1 $verb
        stderr_has 'goes through a pooler'
    done
    same '' "$settings"
    same '"$user", public' 'SHOW search_path'
    export PGHOST=${direct%:*} PGPORT=${direct##*:}
fi

# Given up: nobody contends. Then the database goes.
stop "$dave" 0
state 'nobody contends' 2 'CRITICAL: nobody contends in cluster' 1 '^leaders,fail,.*nobody contends' 0 'CRITICAL: nobody contends'
kill -INT "$PGSERVER_PID"
state 'database down' 2 'CRITICAL: the database cannot be reached' 3 '^connection,fail' 3 'pgkeeper top: connection to server'
