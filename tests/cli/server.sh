#!/usr/bin/env bash
# pgkeeper server: a private PostgreSQL for a command or until a signal, and nothing left of it afterwards.
. "$(dirname "$0")/lib/common.sh"
outer=$PGHOST

# With a command: the variables lead to it, migrated; arguments, exit code and stdout are the command's.
expect 0 server --migrate --set work_mem=5MB -- bash -c 'echo "$1"; psql -XAtc "SHOW work_mem" -c "SELECT count(*) FROM pgkeeper.schema_meta"
    echo "$PGHOST" >&2; "$PGK_TEST_COMMAND" migrate verify' - 'a  b'
stdout_is $'a  b\n5MB\n1'
grep -qxF "$outer" "$work/err" && failed "PGHOST is that of another server"
for code in 0 1 7 255; do
    expect $code server -- bash -c "exit $code"
done
expect 143 server -- bash -c 'kill -TERM $$'
expect 127 server -- "$work/no such program"
touch "$work/not a program"
expect 126 server -- "$work/not a program"

# TCP.
expect 0 server --tcp -- bash -c 'echo "$PGHOST"; psql -XAtc "SELECT inet_server_addr() IS NOT NULL"'
stdout_is $'127.0.0.1\nt'

# Without: shell lines on stdout, and it stays until the signal. The server and its directory go with it.
"$PGK_TEST_COMMAND" server >"$work/lines" 2>"$work/server.err" & pid=$!
children+=("$pid")
until_true 30 grep -q PGHOST "$work/lines"
inner=$(bash -c "$(cat "$work/lines"); echo \$PGHOST; psql -XAtqc 'SELECT 1' >/dev/null")
[ -d "$inner" ] || failed "no directory $inner"
grep -q "psql -h $inner" "$work/server.err" || failed "no psql line"
stop "$pid" 0
[ ! -e "$inner" ] || failed "$inner was left behind"

# Killed: the server goes too.
"$PGK_TEST_COMMAND" server --format json >"$work/lines" 2>"$work/server.err" & pid=$!
children+=("$pid")
until_true 30 grep -q host "$work/lines"
inner=$(sed -n 's/.*"host": "\([^"]*\)".*/\1/p' "$work/lines")
postmaster=$(sed -n 's/.*"pid": \([0-9]*\).*/\1/p' "$work/lines")
kill -0 "$postmaster" || failed "no postmaster $postmaster"
kill -KILL "$pid"
wait "$pid" 2>/dev/null || true
gone() { [ ! -e "$inner" ] && ! kill -0 "$postmaster" 2>/dev/null; }
until_true 30 gone

# A signal is passed on to the command, which decides.
"$PGK_TEST_COMMAND" server -- bash -c 'trap "echo caught; exit 5" TERM; echo up; while :; do read -r -t 0.05 <>"$1" || true; done' - "$work/never" \
    >"$work/lines" 2>"$work/server.err" & pid=$!
children+=("$pid")
until_true 30 grep -q up "$work/lines"
stop "$pid" 5
grep -q caught "$work/lines" || failed "the command has not seen the signal"

# A directory of one's own stays, with its data.
chmod 711 "$work" # as root the server runs as another user
expect 0 server --directory "$work/kept" --migrate -- true
expect 0 server --directory "$work/kept" -- "$PGK_TEST_COMMAND" migrate verify
[ -d "$work/kept/data" ] || failed "nothing was kept"
expect 2 server --set nonsense -- true; is_usage_error
expect 1 server --set no_such_setting=1 -- true
stderr_has no_such_setting
echo "server: all as expected"
