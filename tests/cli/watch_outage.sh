#!/usr/bin/env bash
# pgkeeper watch and elect through a restart of the server: the leader is reported as gone and back, and components
# that appear afterwards are found too.
. "$(dirname "$0")/lib/common.sh"
pgkeeper migrate up 2>/dev/null
saw() { grep -q "$2" "$work/$1"; }

contend alice dispatcher --address alice:1; alice=$pid
expect 0 leader dispatcher --wait 20s
"$PGK_TEST_COMMAND" watch >"$work/watch" 2>"$work/watch.err" & watcher=$!
children+=("$watcher")
until_true 20 saw watch alice:1

# A server of the case's own would be simpler to stop; this one belongs to the guard, so its sessions are ended, the
# watcher's as well, and new ones refused for a while.
psql --no-psqlrc --quiet --dbname=template1 --command="ALTER DATABASE postgres ALLOW_CONNECTIONS false" \
    --command="SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'postgres'" >/dev/null
gone() { tail -1 "$work/watch" | grep -q '"address": null'; }
until_true 20 gone
until_true 20 saw alice revoked
psql --no-psqlrc --quiet --dbname=template1 --command="ALTER DATABASE postgres ALLOW_CONNECTIONS true"
back() { tail -1 "$work/watch" | grep -q alice:1; }
until_true 30 back
contend bob other --address bob:2 --group other; bob=$pid
until_true 30 saw watch bob:2
grep -oE '"epoch": [0-9]+' "$work/watch" | head -2 | sort -c -t: -k2,2n || failed "epochs fall"
stop "$alice" 0
stop "$bob" 0
stop "$watcher" 0
echo "watch_outage: all as expected"
