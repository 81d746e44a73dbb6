#!/usr/bin/env bash
# The demo: three real masters on a private PostgreSQL run a job whose graph is FILE (default: this project's README), and
# which needs a blob: FILE too (default: 64 MiB that are made for it). One is killed in the middle of it, one is stopped,
# one hands over. Prints what happens, with times, and exits 0 only if all of it did. --keep leaves everything up until
# Enter.
#
# Every time is the difference of two stamps of this machine's clock: one taken just before the signal is sent,
# one by the master first thing in its callback.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=${PGK_BUILD_DIR:-$here/../build/dev}
pgkeeper=$build/src/cli/pgkeeper
cluster=demo

if [ "${1:-}" != --inside ]; then
    keep='' file=$here/../README.md data=''
    for argument; do
        case $argument in
            --keep) keep=--keep ;;
            -*) echo "usage: demo.sh [--keep] [FILE]" >&2; exit 2 ;;
            *) file=$argument data=own ;;
        esac
    done
    if ! [ -f "$file" ] || ! [ -r "$file" ] || ! [ -s "$file" ]; then
        echo "demo: $file is not a readable file with something in it" >&2
        exit 2
    fi
    for program in "$pgkeeper" "$build/examples/master"; do
        [ -x "$program" ] || { echo "demo: $program is not built: run ./dev build" >&2; exit 1; }
    done
    exec "$pgkeeper" server -- bash "$here/demo.sh" --inside "$(realpath "$file")" "$keep" "$data"
fi
file=$2 keep=$3 data=$4
job=00000000000000000000000000000001

unset "${!PGKEEPER_@}"
export PGKEEPER_HIGH_AVAILABILITY_CLUSTER_ID=$cluster
export PGCONNECT_TIMEOUT=10

# ---- output ------------------------------------------------------------------------------------------------

bold='' dim='' green='' red='' plain=''
if [ -t 1 ]; then
    bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
fi

now_us() { printf -v "$1" '%s' "${EPOCHREALTIME/[.,]/}"; }
started=0 t0=0 t1=0
now_us started

# ms SPAN_US: "2.3 ms" or "1.41 s" in the variable `span`.
ms() {
    if (($1 < 1000000)); then
        printf -v span '%d.%d ms' $(($1 / 1000)) $(($1 % 1000 / 100))
    else
        printf -v span '%d.%02d s' $(($1 / 1000000)) $(($1 % 1000000 / 10000))
    fi
}

say() {
    local t
    now_us t
    t=$(((t - started) / 10000))
    printf '%s%3d.%02d s%s  %s\n' "$dim" $((t / 100)) $((t % 100)) "$plain" "$*"
}

heading() {
    step=$1
    printf '\n%s%s%s\n' "$bold" "$1" "$plain"
}

fail() {
    printf '\n%sFAILED%s in the step "%s":\n' "$red" "$plain" "$step"
    printf '%s\n' "$*" 'What the masters said:' "${events[@]}" 'On their stderr:' | fold -s -w 78 | sed 's/^/  /'
    cat "$dir"/*.err | fold -w 78 | sed 's/^/  /'
    exit 1
} >&2

# ---- masters -----------------------------------------------------------------------------------------------

dir=$(mktemp -d "${TMPDIR:-/tmp}/pgkeeper-demo.XXXXXX")
declare -A pid=()
events=()
step='start'

cleanup() {
    local name
    trap '' INT TERM HUP
    for name in "${!pid[@]}"; do
        kill -KILL "${pid[$name]}" || true
        wait "${pid[$name]}" || true
    done 2>/dev/null
    rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

mkfifo "$dir/events"
exec {from_masters}<>"$dir/events"

start_master() {
    "$build/examples/master" "$1" "tcp://$1:7000" "$dir" >"$dir/events" 2>>"$dir/$1.err" {from_masters}>&- &
    pid[$1]=$!
}

# expect NAME|* WHAT SINCE_US TIMEOUT_MS: the first line of a master, not older than SINCE, that begins with WHAT.
# Sets at_us, name, rest.
expect() {
    local i=0 line stamp who what deadline left
    now_us deadline
    deadline=$((deadline + $4 * 1000))
    while :; do
        while ((i < ${#events[@]})); do
            read -r stamp who what <<<"${events[i]}"
            i=$((i + 1))
            # shellcheck disable=SC2053 # $1 may be the pattern *
            if [[ ${stamp/./} -ge $3 && $who == $1 && $what == "$2"* ]]; then
                at_us=${stamp/./} name=$who rest=${what#"$2"}
                return
            fi
        done
        now_us left
        left=$((deadline - left))
        ((left > 0)) || fail "no master $1 said \"$2\" within $4 ms"
        printf -v left '%d.%06d' $((left / 1000000)) $((left % 1000000))
        if read -r -t "$left" -u "$from_masters" line; then
            events+=("$line")
        fi
    done
}

sql() { psql -X -A -t -q -v ON_ERROR_STOP=1 -c "SET search_path = pgkeeper" -c "$1"; }

# until_sql WHAT WANTED QUERY: waits until the query answers what is wanted.
until_sql() {
    local got='' deadline t
    now_us deadline
    deadline=$((deadline + 10000000))
    while got=$(sql "$3") && [ "$got" != "$2" ]; do
        now_us t
        ((t < deadline)) || fail "$1: wanted $2, got $got"
        if read -r -t 0.02 -u "$from_masters" line; then events+=("$line"); fi
    done
}

standbys_ready() {
    until_sql 'standbys in place' "$1" \
        "SELECT count(DISTINCT pid) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
            AND classid IN ('member'::regclass, 'leadership'::regclass)"
}

# ---- the story ---------------------------------------------------------------------------------------------

printf '%spgkeeper demo%s: three masters, one private PostgreSQL %s\n' "$bold" "$plain" \
    "$(sql 'SHOW server_version' | cut -d ' ' -f 1)"

heading '1. Three masters contend for the component "dispatcher"'
"$pgkeeper" migrate up >"$dir/migrate.err" 2>&1 || fail "the schema could not be made"
now_us t0
for name in alpha beta gamma; do start_master "$name"; done
expect '*' 'granted epoch ' "$t0" 10000
leader=$name first_epoch=$rest
expect "$leader" 'confirmed' "$t0" 5000
say "$leader leads, epoch $first_epoch, and has published tcp://$leader:7000"
standbys_ready 2
say 'the others stand by'

heading '2. A job and a file that it needs are stored; the leader runs it'
if [ "$data" = own ]; then
    data=$file
else
    data=$dir/state.bin
    head -c 67108864 /dev/urandom >"$data"
fi
data_bytes=$(wc -c <"$data") data_digest=$(sha256sum <"$data")
say "\$ pgkeeper blobs put --job $job"
say "    ${data##*/}"
now_us t0
key=$("$pgkeeper" blobs put "$data" --job "$job" 2>"$dir/jobs.err") || fail "the command failed: $(cat "$dir/jobs.err")"
now_us t1
ms $((t1 - t0))
say "${key%-*}-..."
say "the key of its $data_bytes bytes, stored in $span"
say "\$ pgkeeper jobs put $job"
say "    ${file##*/}"
now_us t0
"$pgkeeper" jobs put "$job" "$file" >"$dir/jobs.err" 2>&1 || fail "the command failed: $(cat "$dir/jobs.err")"
expect "$leader" 'checkpoint 1 at byte ' "$t0" 10000
first_us=$at_us
expect "$leader" "fetched $key $data_bytes" "$t0" 10000
ms $((at_us - t0))
say "$leader heard of it; $span later it had fetched the file"
ms $((first_us - at_us))
say "and works; its first checkpoint came $span after that"
expect "$leader" 'checkpoint 6 at byte ' "$t0" 10000
bytes=$(wc -c <"$file") lines=$(wc -l <"$file")
say "checkpoint 6: byte $rest of $bytes"

heading '3. The leader is killed in the middle of it (kill -9)'
killed=$leader
now_us t0
{
    kill -KILL "${pid[$killed]}"
    wait "${pid[$killed]}" || true
} 2>/dev/null # else the shell itself reports the death
expect '*' 'granted epoch ' "$t0" 10000
leader=$name second_epoch=$rest
ms $((at_us - t0))
say "$killed is dead; ${green}$leader leads $span after the kill${plain}, epoch $second_epoch"
[ "$leader" != "$killed" ] || fail "a dead process leads"
expect "$leader" 'confirmed' "$t0" 5000
expect "$leader" 'recovered checkpoint ' "$t0" 5000
say "$leader goes on from checkpoint ${rest% of *}"
began_us=$at_us
expect "$leader" "fetched $key $data_bytes" "$t0" 20000
ms $((at_us - began_us))
[ "$(sha256sum <"$dir/$leader-$key")" = "$data_digest" ] || fail "the fetched file is not the one that was stored"
say "${green}$leader has fetched the file in $span: sha256 ${data_digest:0:16}...,${plain}"
say 'as it was stored'
"$pgkeeper" jobs get "$job" - >"$dir/graph" 2>"$dir/jobs.err" || fail "the graph cannot be read: $(cat "$dir/jobs.err")"
digest=$(sha256sum <"$file")
[ "$(sha256sum <"$dir/graph")" = "$digest" ] || fail "the stored graph is not the file"
say "its graph is the file, byte for byte: sha256 ${digest:0:16}..."
start_master "$killed"
expect "$leader" 'finished ' "$t0" 20000
[ "$rest" = "$((lines)) lines $((bytes)) bytes" ] || fail "the job counted $rest, wc $lines and $bytes"
say "${green}finished: $rest${plain}, as wc says"
until_sql 'clean-up' 'FINISHED clean 0' "SELECT (SELECT string_agg(status || ' ' || state, ',') FROM job_result) || ' ' ||
    ((SELECT count(*) FROM job_graph) + (SELECT count(*) FROM checkpoint) + (SELECT count(*) FROM checkpoint_counter)
     + (SELECT count(*) FROM job_status) + (SELECT count(*) FROM blob) + (SELECT count(*) FROM pg_largeobject_metadata))"
numbers=$(printf '%s\n' "${events[@]}" | sed -n 's/^[^ ]* [^ ]* checkpoint \([0-9]*\) .*/\1/p')
[ "$(sort -n <<<"$numbers" | uniq -d)" = '' ] || fail "a checkpoint number was issued twice"
say 'one result; graph, checkpoints, counter, file and its bytes are gone;'
say "of $(wc -w <<<"$numbers") numbers that were issued to two masters none came twice"
standbys_ready 2

heading '4. The leader is stopped (kill -STOP), longer than its lease'
stopped=$leader
now_us t0
kill -STOP "${pid[$stopped]}"
say "$stopped is frozen: it cannot give up, it cannot even know"
expect '*' 'granted epoch ' "$t0" 20000
leader=$name third_epoch=$rest
ms $((at_us - t0))
[ "$leader" != "$stopped" ] || fail "a stopped process was granted"
say "${green}$leader leads $span after the stop${plain}, epoch $third_epoch:"
say 'the server ended the silent session (session-timeout 1.5 s)'
expect "$leader" 'confirmed' "$t0" 5000
# SIGUSR1 waits in the frozen process: a write with the old token is the first thing it tries.
kill -USR1 "${pid[$stopped]}"
now_us t1
kill -CONT "${pid[$stopped]}"
expect "$stopped" 'has_leadership ' "$t1" 5000
ms $((at_us - t1))
[ "$rest" = false ] || fail "$stopped believed in its leadership after $span"
say "$stopped runs again; $span later it knows that it does not lead"
expect "$stopped" 'late write ' "$t1" 5000
[ "$rest" = PGK_ERR_FENCED ] || fail "the late write of $stopped ended in $rest"
say "its write with the old token, tried all the same: ${green}$rest${plain}"
expect "$stopped" 'revoked' "$t1" 5000
standbys_ready 2

heading '5. The leader hands over to a member of our choice'
say "\$ pgkeeper switchover dispatcher --to $stopped"
giver=$leader
now_us t0
"$pgkeeper" switchover dispatcher --to "$stopped" >"$dir/switchover.err" 2>&1 ||
    fail "the command failed with exit code $?"
expect "$giver" 'revoked' "$t0" 5000
revoked_us=$at_us
expect "$stopped" 'granted epoch ' "$t0" 5000
leader=$name fourth_epoch=$rest
ms $((at_us - t0))
whole=$span
ms $((at_us - revoked_us))
say "$giver finished its work and resigned; ${green}$leader leads $span later${plain},"
say "epoch $fourth_epoch; $whole from the command line to the new leader"
expect "$leader" 'confirmed' "$t0" 5000

heading '6. What a DBA sees, in SQL'
until_sql 'history' "$killed lost,$stopped lease_expired,$giver switchover,$leader " \
    "SELECT string_agg(member_name || ' ' || coalesce(end_reason, ''), ',' ORDER BY epoch) FROM leader_history"
psql -X -q -P footer=off -P border=1 -P pager=off -c "SET search_path = pgkeeper" -c "
    SELECT epoch_text(epoch) AS epoch, member_name AS leader, to_char(granted_at, 'HH24:MI:SS.MS') AS granted,
           to_char(ended_at, 'HH24:MI:SS.MS') AS ended, end_reason, began_after
      FROM leader_history ORDER BY leader_history.epoch"
psql -X -q -P footer=off -P border=1 -P pager=off -c "SET search_path = pgkeeper" -c "
    SELECT job, job_name, status, state, net_runtime_ms AS ms, epoch_text AS epoch FROM stat_results"

if [ "$keep" = --keep ]; then
    heading 'Look around'
    printf '  psql -h %s -p %s -U %s %s\n' "$PGHOST" "$PGPORT" "$PGUSER" "$PGDATABASE"
    printf '  TABLE pgkeeper.stat_leaders;  TABLE pgkeeper.stat_contenders;\n\n'
    printf 'Enter ends the demo. '
    read -r _ || wait
    printf '\n'
else
    printf '\n'
fi

step='end'
now_us t0
for name in "${!pid[@]}"; do kill -TERM "${pid[$name]}"; done
for name in "${!pid[@]}"; do
    wait "${pid[$name]}" 2>/dev/null || fail "$name ended with exit code $?"
    unset "pid[$name]"
done
now_us t1
((t1 - t0 < 2500000)) || fail "the masters took $((t1 - t0)) us to end"
say 'all of it happened; everything is stopped and removed'
[ "$keep" = --keep ] || printf '          to look around yourself: ./dev demo --keep\n'
