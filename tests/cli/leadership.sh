#!/usr/bin/env bash
# elect, watch, leader, leaders, contenders, history, resign, switchover, kick: with real contenders.
. "$(dirname "$0")/lib/common.sh"
pgkeeper migrate up 2>/dev/null

leader_is() { [ "$("$PGK_TEST_COMMAND" leader dispatcher 2>/dev/null)" = "$1" ]; }
saw() { grep -q "$2" "$work/$1"; } # NAME PATTERN

expect 4 leader dispatcher
stdout_is ""
expect 5 leader dispatcher --wait 100ms
expect 4 resign dispatcher
expect 4 switchover dispatcher
expect 4 kick dispatcher --yes
expect 2 elect "$(printf 'x%.0s' {1..201})"; is_usage_error
expect 2 elect $'\xff'; is_usage_error

# A watcher from before the first leader on; a contender; the second one waits.
"$PGK_TEST_COMMAND" watch dispatcher >"$work/watch" 2>&1 & watcher=$!
"$PGK_TEST_COMMAND" watch >"$work/watch.all" 2>&1 & watcher_of_all=$!
children+=("$watcher" "$watcher_of_all")
until_true 20 saw watch '"address": null'
contend alice dispatcher --address alice:1; alice=$pid
expect 0 leader dispatcher --wait 20s
stdout_is alice:1
contend bob dispatcher --address bob:2 --format ndjson; bob=$pid
standby_is() { [ "$("$PGK_TEST_COMMAND" contenders --format csv | awk -F, '$4 == "standby" { print $2 }')" = "$1" ]; }
until_true 20 standby_is bob
until_true 20 saw watch alice:1
until_true 20 saw watch.all alice:1

expect 0 leaders --format json
json_is leading '$[0].state'
json_is alice '$[0].member_name'
json_is true '$[0].lock_held'
json_is 1 '$.size()'
first_session=$(json_at '$[0].session_id')
saw alice "granted epoch 1.1 session $first_session" || failed "elect and leaders differ"
expect 0 contenders dispatcher --format json
json_is 2 '$.size()'
json_is leader '$[*] ? (@.member_name == "alice").state'
expect 0 contenders nothing --format json
stdout_is "[]"
expect 0 leader dispatcher --format json
json_is alice:1 '$[0].address'
expect 0 history --format json
json_is null '$[0].ended_at.type()'

# Switchover by name, by id, to the leader itself, to nobody, and without a name.
expect 4 switchover dispatcher --to carol
stderr_has '"alice", leader'
stderr_has '"bob", standby'
expect 0 switchover dispatcher --to bob --format json
json_is bob '$[0].member_name'
json_is 1.1 '$[0].ended_epoch'
leader_is bob:2 || until_true 20 leader_is bob:2
expect 0 switchover dispatcher --to bob
stderr_has 'leads already'
alice_id=$(value "SELECT member_id FROM pgkeeper.stat_contenders WHERE member_name = 'alice'")
expect 0 switchover dispatcher --to "$alice_id"
until_true 20 leader_is alice:1
expect 0 switchover dispatcher
until_true 20 leader_is bob:2
expect 0 history dispatcher --format json
json_is switchover '$[0].end_reason'
json_is 4 '$.size()'
expect 0 history master --limit 2 --format csv
[ "$(wc -l <"$work/out")" = 3 ] || failed "--limit does not limit"

# Resign: the other one takes over.
expect 0 resign dispatcher --format json
until_true 20 leader_is alice:1
expect 0 resign master --no-wait
until_true 20 leader_is bob:2

# An ambiguous name is refused, with the candidates.
contend twin1 dispatcher; twin1=$pid
contend twin2 dispatcher; twin2=$pid
four() { [ "$(value "SELECT count(*) FROM pgkeeper.stat_contenders WHERE alive")" = 4 ]; }
until_true 20 four
value "UPDATE pgkeeper.member SET name = 'twin' WHERE name LIKE 'twin%'" >/dev/null
expect 4 switchover dispatcher --to twin
stderr_has 'more than one'
stop "$twin1" 0
stop "$twin2" 0

# Kick: dry run and without an answer nothing; then the session ends, and somebody leads with a larger epoch.
expect 0 kick dispatcher --dry-run --format json
json_is bob '$[0].member_name'
expect 1 kick dispatcher
stderr_has 'nothing was done'
before=$(value "SELECT max(epoch) FROM pgkeeper.leadership")
expect 0 kick dispatcher --yes
larger() { [ "$(value "SELECT count(*) FROM pgkeeper.stat_leaders WHERE epoch > $before AND state = 'leading'")" = 1 ]; }
until_true 20 larger
same 1 "SELECT count(*) FROM pgkeeper.leader_history WHERE end_reason = 'kicked'"
until_true 20 saw bob '"event": "error"'

# A leader that is stopped does not resign: exit code 5.
expect 0 switchover dispatcher --to alice
until_true 20 leader_is alice:1
kill -STOP "$alice"
expect 5 resign dispatcher --timeout 200ms
stderr_has 'kick'
kill -CONT "$alice"
settled() { "$PGK_TEST_COMMAND" leader dispatcher; }
until_true 20 settled

# SIGTERM resigns: the successor leads at once, elect ends with 0, grant and revoke in pairs.
expect 0 leader dispatcher
if [ "$(cat "$work/out")" = alice:1 ]; then first=$alice second=$bob next=bob:2; else first=$bob second=$alice next=alice:1; fi
stop "$first" 0
until_true 20 leader_is $next
stop "$second" 0
expect 4 leader dispatcher
stderr_has released
for name in alice bob; do
    grep -oE 'granted|revoked' "$work/$name" | paste -sd' ' | grep -qE '^(granted revoked ?)+$' || failed "$name: grants and revokes"
done
same 0 "SELECT count(*) FROM pgkeeper.leader_history WHERE ended_at IS NULL"

# The watchers saw each leader, epochs rising, and the end; they end with 0.
gone() { tail -1 "$work/$1" | grep -q '"address": null'; }
for name in watch watch.all; do
    until_true 20 gone $name
    grep -oE '"epoch": [0-9]+' "$work/$name" | sort -c -t: -k2,2n || failed "$name: epochs fall"
    for address in alice:1 bob:2; do saw $name $address || failed "$name has not seen $address"; done
done
stop "$watcher" 0
# New components are watched too, without being named.
contend carol other --address carol:3; carol=$pid
until_true 20 saw watch.all carol:3
stop "$watcher_of_all" 0

# --once ends after the first tenure, with 4 when it was lost; groups of one's own.
contend once thing --address once:4 --group of-its-own --once; once=$pid
expect 0 leader thing --wait 20s
stdout_is once:4
expect 0 kick of-its-own --yes
got=0; wait "$once" || got=$?
[ "$got" = 4 ] || failed "elect --once ended with $got"
# A clean stop of a leader whose output nobody reads.
stop "$carol" 0

# exclusive: after a kill the successor waits for the grace; after a clean end it does not.
contend dave strict --address dave:5 --group strict --take-over exclusive; dave=$pid
expect 0 leader strict --wait 20s
contend erin strict --address erin:6 --group strict --take-over exclusive; erin=$pid
erin_waits() { [ "$(value "SELECT count(*) FROM pgkeeper.stat_contenders WHERE member_name = 'erin' AND state = 'standby'")" = 1 ]; }
until_true 20 erin_waits
kill -KILL "$dave"
erin_leads() { [ "$("$PGK_TEST_COMMAND" leader strict)" = erin:6 ]; }
until_true 20 erin_leads
same t "SELECT granted_at - began_at >= interval '1 s' AND began_after = 'loss' FROM pgkeeper.leader_history
         WHERE member_name = 'erin'"
stop "$erin" 0

# --verbose: the library's log on stderr; a plain database name is a connection string too.
contend frank loud --verbose -d "$PGDATABASE" --address frank:7; frank=$pid
expect 0 leader loud --wait 20s
stop "$frank" 0
grep -qE '^(debug|info): ' "$work/frank.err" || failed "no log: $(cat "$work/frank.err")"
echo "leadership: all as expected"
