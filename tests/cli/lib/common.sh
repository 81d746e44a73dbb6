# shellcheck shell=bash
# What the shell cases share. Each case has a private server of its own (PGHOST, PGPORT, PGUSER, PGDATABASE) and
# the command in PGK_TEST_COMMAND. A case ends at the first expectation that is not met.
set -eu
: "${PGK_SOURCE_DIR:?}" "${PGK_TEST_COMMAND:?}"
unset PGSERVICE PGOPTIONS
work=$(mktemp -d)
children=()

# Ends what the case has started, by its process id.
end_case() {
    local child
    for child in "${children[@]}"; do
        kill -KILL "$child" 2>/dev/null || true
    done
    wait 2>/dev/null
    rm -rf "$work"
}
trap end_case EXIT

pgkeeper() { "$PGK_TEST_COMMAND" "$@"; }
value() { psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 --command="$1"; }

failed() {
    echo "FAILED (line ${BASH_LINENO[1]}): $*"
    echo "--- stdout"; cat "$work/out" 2>/dev/null || true
    echo "--- stderr"; cat "$work/err" 2>/dev/null || true
    exit 1
}

# expect CODE ARGUMENT...: the command ends with this exit code. Its output is in $work/out and $work/err.
expect() {
    local want=$1 got=0
    shift
    "$PGK_TEST_COMMAND" "$@" >"$work/out" 2>"$work/err" </dev/null || got=$?
    [ "$got" = "$want" ] || failed "exit code $got instead of $want: pgkeeper $*"
}
stdout_is() { [ "$(cat "$work/out")" = "$1" ] || failed "stdout is not \"$1\""; }
stdout_has() { grep -qF -- "$1" "$work/out" || failed "stdout lacks \"$1\""; }
stderr_has() { grep -qF -- "$1" "$work/err" || failed "stderr lacks \"$1\""; }
# json_at JSONPATH: the first of it in what `expect` printed last, as text.
json_at() {
    psql --no-psqlrc --tuples-only --no-align --set=j="$(cat "$work/out")" --set=p="$1" <<'SQL'
SELECT jsonb_path_query_first(:'j'::jsonb, :'p'::jsonpath) #>> '{}';
SQL
}
json_is() { # WANT JSONPATH
    local got
    got=$(json_at "$2")
    [ "$got" = "$1" ] || failed "$2 is \"$got\", not \"$1\""
}
same_bytes() { cmp -s "$1" "$2" || failed "$1 and $2 differ"; }
# One sentence of what is wrong, and where to read on.
is_usage_error() {
    grep -q '^pgkeeper' "$work/err" || failed "no sentence on stderr"
    [ ! -s "$work/out" ] || failed "a usage error wrote to stdout"
}

# same EXPECTED SQL: the first column of the only row.
same() {
    local got
    got=$(value "$2")
    [ "$got" = "$1" ] || failed "expected \"$1\", got \"$got\" from: $2"
}

# until SECONDS WORD...: waits for a condition.
until_true() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$deadline" ] || failed "not so in time: $*"
        read -r -t 0.05 <>"$work/never" || true
    done
}
mkfifo "$work/never"

# contend NAME ARGUMENT...: starts `pgkeeper elect` in the background; its output is in $work/NAME; its id in $pid.
contend() {
    local name=$1
    shift
    PGKEEPER_MEMBER_NAME=$name "$PGK_TEST_COMMAND" elect "$@" >"$work/$name" 2>"$work/$name.err" </dev/null &
    pid=$!
    children+=("$pid")
}
# stop PID CODE: sends SIGTERM and expects this exit code.
stop() {
    local got=0
    kill -TERM "$1"
    wait "$1" || got=$?
    [ "$got" = "$2" ] || failed "process $1 ended with $got instead of $2"
}

# stranger_holds CONDITION: a session that is no contender, "stranger", holds the locks of these rows of leadership until
# stranger_leaves.
stranger_holds() {
    mkfifo "$work/stranger"
    PGAPPNAME=stranger psql --no-psqlrc --quiet --tuples-only --no-align <"$work/stranger" >"$work/stranger.out" &
    children+=($!)
    exec 7>"$work/stranger"
    stranger_asks "SELECT pg_advisory_lock(pgkeeper.lock_class('pgkeeper.leadership'), id) FROM pgkeeper.leadership WHERE $1; SELECT 'ready'"
    until_true 20 stranger_has ready
}
stranger_asks() { echo "$1;" >&7; }
stranger_has() { grep -q "$1" "$work/stranger.out"; }
stranger_leaves() { exec 7>&-; }

# start_pooler: PgBouncer in transaction mode before this server; its port is in $pooler_port. False: it is not installed.
start_pooler() {
    local as_server=()
    [ -x /usr/sbin/pgbouncer ] || return 1
    pooler_port=$((20000 + $$ % 20000))
    printf '[databases]\n* = host=%s port=%s user=%s\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %s\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n' \
        "$PGHOST" "$PGPORT" "$PGUSER" "$pooler_port" >"$PGHOST/pooler.ini"
    chmod 0644 "$PGHOST/pooler.ini"
    [ "$(id -u)" = 0 ] && as_server=(setpriv --reuid "$(stat -c %u "$PGHOST")" --regid "$(stat -c %g "$PGHOST")" --clear-groups)
    "${as_server[@]}" /usr/sbin/pgbouncer -q "$PGHOST/pooler.ini" >/dev/null 2>&1 &
    children+=($!)
    pooled() { psql --no-psqlrc --quiet -d "host=127.0.0.1 port=$pooler_port" -c 'SELECT 1'; }
    until_true 20 pooled
}
