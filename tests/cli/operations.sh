#!/usr/bin/env bash
# status and its probe, doctor, top, metrics: what they say in each state, with the state driven; pause and resume with
# real contenders.
. "$(dirname "$0")/lib/common.sh"

# probe CODE WORDS: what `status --check` says of the cluster, in one line.
probe() {
    expect "$1" status --check
    [ "$(wc -l <"$work/out")" = 1 ] || failed "not one line"
    stdout_has "$2"
}
probes() { "$PGK_TEST_COMMAND" status --check | grep -qF -- "$1"; }
# doctor CODE CHECK STATE WORDS
doctor() {
    expect "$1" doctor --format csv
    grep -qE "^$2,$3,.*$4" "$work/out" || failed "doctor: no $2 $3 $4"
}
top_has() { "$PGK_TEST_COMMAND" top --once --columns 200 >"$work/out" 2>"$work/err"; stdout_has "$1"; }
metric_is() { expect 0 metrics; grep -qxF -- "$1" "$work/out" || failed "no such metric: $1"; }
leads() { [ "$("$PGK_TEST_COMMAND" leader dispatcher 2>/dev/null)" = "$1" ]; }

# No schema; one that is too old; one too new.
probe 2 'CRITICAL: the schema is missing'
expect 6 doctor --format csv
grep -q '^schema,fail' "$work/out" || failed "doctor: no schema"
expect 6 metrics
stdout_has 'pgkeeper_up 0'
[ "$(tail -n 1 "$work/out")" = '# EOF' ] || failed "no # EOF"
expect 6 top --once
pgkeeper migrate up --to 3 2>/dev/null
probe 2 'too old or too new'
stderr_has 'at version 3, this command needs 4; run: pgkeeper migrate up'
expect 6 doctor
expect 6 pause
pgkeeper migrate up 2>/dev/null
value "UPDATE pgkeeper.schema_meta SET min_client_schema = 999" >/dev/null
probe 2 'too old or too new'
expect 6 doctor
value "UPDATE pgkeeper.schema_meta SET min_client_schema = 1" >/dev/null
expect 4 resume

# Nobody has ever contended; the database is not there; the probe is used wrongly.
probe 2 'CRITICAL: nobody has ever contended in cluster "/default"'
PGHOST=$work probe 2 'CRITICAL: the database cannot be reached'
PGHOST=$work expect 3 doctor
stdout_has 'fail  connection'
PGHOST=$work expect 3 status
PGHOST=$work expect 3 metrics
stdout_has 'pgkeeper_up 0'
expect 3 status --check --standbys many
expect 3 status --check extra

# One contender, then two.
contend alice dispatcher --address alice:1; alice=$pid
until_true 20 leads alice:1
probe 1 'WARNING: too few standbys of group "master"; group "master" led by "alice"'
expect 0 status --check --standbys 0
contend bob dispatcher --address bob:2; bob=$pid
until_true 20 probes '1 standby'
probe 0 'OK: group "master" led by "alice" (epoch 1.1); 1 standby'
expect 0 status
for words in 'verdict     OK: ' 'elections   running' 'dispatcher  alice:1' standby; do stdout_has "$words"; done
[ "$(wc -l <"$work/out")" -le 24 ] || failed "more than one screen"
awk 'length > 90 { exit 1 }' "$work/out" || failed "wider than a screen"
expect 0 status --format json
[ "$(grep -c '"level": 0' "$work/out")" = 1 ] || failed "no row of JSON"
doctor 0 leaders ok 'led by'
doctor 0 locks ok ''
doctor 0 pooler ok ''
doctor 0 drift ok 'is what the migrations make'
doctor 0 owner warn 'a superuser'
metric_is 'pgkeeper_up 1'
metric_is 'pgkeeper_group_led{cluster="/default",group="master"} 1'
metric_is 'pgkeeper_take_overs_total{cluster="/default",group="master"} 1'
metric_is 'pgkeeper_standbys{cluster="/default",group="master"} 1'
top_has 'OK: group "master" led by "alice"'
grep -E '^master +leading +1.1 +[0-9]+ +1000 +alice +dispatcher +alice:1' "$work/out" >/dev/null || failed "no leader with the age of its lease"
stdout_has take_over

# The format of the metrics: families together, described once, before their samples; names end in their units.
expect 0 metrics
awk '
    ended { print "after # EOF: " $0; bad = 1 }
    $0 == "# EOF" { ended = 1; next }
    /^# TYPE / { if (seen[$3]++) { print "twice: " $3; bad = 1 } family = $3; type = $4; next }
    /^# UNIT / { if ($3 != family || substr(family, length(family) - length($4)) != "_" $4) { print "unit: " $0; bad = 1 } next }
    /^# HELP / { if ($3 != family || NF < 4) { print "help: " $0; bad = 1 } next }
    /^[a-z_]+({([a-z_]+="[^"]*",?)+})? -?[0-9.]+$/ {
        name = $0; sub(/[{ ].*/, "", name)
        want = family (type == "counter" ? "_total" : type == "info" ? "_info" : "")
        if (name != want) { print "sample of another family: " $0; bad = 1 }
        next
    }
    { print "not a line of OpenMetrics: " $0; bad = 1 }
    END { exit bad || !ended }' "$work/out" || failed "not OpenMetrics"

# top fits any width; what is stored shows.
value "INSERT INTO pgkeeper.job_graph (cluster_id, job_id, graph, sha256) VALUES ('/default', gen_random_uuid(), 'a', sha256('a'))" >/dev/null
for width in 20 80 200; do
    expect 0 top --once --columns $width
    awk -v w=$width 'length > w { exit 1 }' "$work/out" || failed "wider than $width"
done
stdout_has 'PENDING'
stdout_has 'insert job_graph'

# Paused: the leader stays, may not be sent away, and is not followed by anybody when it dies.
expect 0 pause --reason 'a "new" switch'
stdout_has 'a "new" switch'
expect 0 pause
stderr_has 'paused already'
probe 1 'WARNING: elections paused since '
stdout_has '(a "new" switch); group "master" led by "alice"'
expect 1 resign dispatcher
stderr_has 'are paused'
doctor 0 elections warn 'paused by'
metric_is 'pgkeeper_elections_paused{cluster="/default"} 1'
expect 0 status
stdout_has 'elections   PAUSED since '
kill -KILL "$alice"
until_true 20 probes 'no leader of group "master"'
# Bob asks again and again, and is told no: its session has asked twice since.
value "CREATE TABLE asked AS SELECT clock_timestamp() AS at" >/dev/null
asked_since() {
    [ "$(value "SELECT count(*) FROM pg_stat_activity s, asked a, pgkeeper.stat_contenders c
                 WHERE c.member_name = 'bob' AND s.pid = c.backend_pid AND s.query_start > a.at + interval '1.5 s'")" = 1 ]
}
until_true 20 asked_since
# And quietly: between two questions there is time for its heartbeats, each 300 ms.
asks_quietly() {
    [ "$(value "SELECT count(*) FROM pg_stat_activity s, pgkeeper.stat_contenders c
                 WHERE c.member_name = 'bob' AND s.pid = c.backend_pid AND clock_timestamp() - s.query_start > interval '0.15 s'")" = 1 ]
}
until_true 10 asks_quietly
same 1 "SELECT epoch & 1023 FROM pgkeeper.leadership WHERE group_name = 'master'"
probe 2 'CRITICAL: no leader of group "master"; elections paused since '
doctor 1 elections fail '1 of 1 groups without a leader'
doctor 1 leaders fail 'no leader'
top_has 'CRITICAL: no leader of group "master"'
metric_is 'pgkeeper_group_led{cluster="/default",group="master"} 0'
grep -qi 'pause' "$work/bob.err" && failed "a standby that is told to wait talks of it"
expect 0 resume
until_true 20 leads bob:2
until_true 20 probes 'WARNING: too few standbys of group "master"; group "master" led by "bob" (epoch 1.2)'
same "pause resume" "SELECT string_agg(act, ' ' ORDER BY id) FROM pgkeeper.event WHERE act IN ('pause', 'resume') AND NOT by_hand"

# The leader is killed and nobody is there.
kill -KILL "$bob"
until_true 20 probes 'CRITICAL: no leader of group "master"'
# A stranger holds the lock of the group: it looks led, and is not.
stranger_holds true
doctor 1 locks fail 'stranger.*holds the lock of leadership'
stranger_leaves
until_true 20 probes 'CRITICAL: no leader of group "master"'
# Given up cleanly: nobody contends.
contend carol dispatcher --address carol:3; carol=$pid
until_true 20 leads carol:3
stop "$carol" 0
probe 2 'CRITICAL: nobody contends in cluster "/default"'
contend carol dispatcher --address carol:3; carol=$pid
until_true 20 leads carol:3

# Read-only.
set_read_only() { value "ALTER SYSTEM SET default_transaction_read_only = $1" >/dev/null; value "SELECT pg_reload_conf()" >/dev/null; }
is_read_only() { [ "$(value "SHOW default_transaction_read_only")" = "$1" ]; }
set_read_only on
until_true 20 is_read_only on
probe 2 'CRITICAL: the database is read-only'
doctor 1 recovery fail 'default_transaction_read_only is on'
metric_is 'pgkeeper_server_read_only 1'
PGOPTIONS='-c default_transaction_read_only=off' set_read_only off
until_true 20 is_read_only off
until_true 20 probes 'led by "carol"'

# Settings, drift, clocks, connections.
PGOPTIONS='-c statement_timeout=900' doctor 0 timeouts warn 'statement_timeout = 900'
value "ALTER TABLE pgkeeper.event ALTER detail DROP NOT NULL" >/dev/null
doctor 1 drift fail 'column event.detail'
value "ALTER TABLE pgkeeper.event ALTER detail SET NOT NULL" >/dev/null
doctor 0 clock ok ''
doctor 0 notifications ok ''
doctor 0 connections ok 'free'
doctor 0 replication ok asynchronous

# Rights: each role is told what it may; one without any, that it may not look.
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --file="$PGK_SOURCE_DIR/sql/roles.sql" >/dev/null
for role in application monitor operator; do
    value "CREATE ROLE as_$role LOGIN IN ROLE pgkeeper_$role" >/dev/null
    for verb in status doctor metrics "top --once"; do
        # shellcheck disable=SC2086
        PGUSER=as_$role expect 0 $verb
    done
    PGUSER=as_$role probe 1 'led by "carol"'
done
PGUSER=as_monitor doctor 0 rights ok 'may read; not act'
PGUSER=as_operator doctor 0 rights ok 'may act, read'
PGUSER=as_application doctor 0 rights ok 'may lead'
PGUSER=as_monitor doctor 0 owner ok 'may end sessions'
PGUSER=as_monitor expect 3 pause
PGUSER=as_application expect 3 pause
PGUSER=as_operator expect 0 pause
PGUSER=as_monitor expect 3 resume
PGUSER=as_operator expect 0 resume
same as_operator "SELECT DISTINCT role_name FROM pgkeeper.event WHERE act = 'resume' AND role_name LIKE 'as_%'"
value "CREATE ROLE as_nothing LOGIN" >/dev/null
PGUSER=as_nothing probe 3 'UNKNOWN: this role may not read the state'
PGUSER=as_nothing expect 3 doctor --format csv
grep -q '^rights,fail' "$work/out" || failed "doctor: rights"

# Behind a pooler.
if start_pooler; then
    PGHOST=127.0.0.1 PGPORT=$pooler_port doctor 1 pooler fail 'the connection says'
fi

# top live: on a terminal of its own, through a crash of the server; then q. The terminal is as it was.
frames() { grep -ac "$1" "$work/screen" || true; }
seen() { [ "$(frames "$1")" -gt 0 ]; }
mkfifo "$work/keys"
: >"$work/screen"
TERM=xterm PGK_KEYS=$work script -qefc "stty rows 40 cols 100; stty -g >$work/before; $PGK_TEST_COMMAND top --interval 100ms; echo \"code \$?\"; stty -g >$work/after" \
    "$work/screen" <"$work/keys" >/dev/null 2>&1 &
viewer=$!
children+=("$viewer")
exec 8>"$work/keys"
until_true 20 seen 'led by "carol"'
victim=$(value "SELECT pid FROM pg_stat_activity WHERE application_name = 'pgkeeper top'")
kill -KILL "$victim"
until_true 20 seen 'DATABASE AWAY'
value_again() { value "SELECT 1"; }
until_true 20 value_again
: >"$work/screen"
until_true 20 seen 'cluster /default'
printf q >&8
until_true 20 seen 'code 0'
exec 8>&-
wait "$viewer" || true
cmp -s "$work/before" "$work/after" || failed "the terminal is not as it was"
seen $'\033\[?1049l' || failed "the screen was not left"
stop "$carol" 0

# Completion: bash takes it, and it knows verbs, actions and options.
expect 0 completion bash
bash -n "$work/out" || failed "bash does not take it"
completes() { # WORDS... WANTED: the last of the words is completed
    local wanted=${*: -1}
    (
        . "$work/out"
        COMP_WORDS=(pgkeeper "${@:1:$#-1}")
        COMP_CWORD=$(($# - 1))
        compopt() { :; }
        _pgkeeper
        printf '%s\n' "${COMPREPLY[@]}"
    ) | grep -qxF -- "$wanted" || failed "not completed to $wanted: $*"
}
completes st status
completes --cluster x lea leaders
completes jobs sh show
completes migrate ver verify
completes purge ev events
completes status --ch --check
completes switchover c --t --to
completes leaders --format js json
expect 2 completion tcsh
echo "operations: all as expected"
