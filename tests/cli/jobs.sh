#!/usr/bin/env bash
# pgkeeper jobs: any bytes in and out, whole or not at all; sizes, ids, damage, owners, roles.
. "$(dirname "$0")/lib/common.sh"
expect 6 jobs ls
pgkeeper --schema old migrate up --to 1 2>/dev/null
expect 6 --schema old jobs ls
stderr_has 'is at version 1, this command needs 3; run: pgkeeper --schema'
expect 0 --schema old leaders
pgkeeper migrate up 2>/dev/null

a=0123456789abcdef0123456789abcdef
b=00000000-0000-0000-0000-00000000000b
b_hex=0000000000000000000000000000000b

# Nothing there yet.
for arguments in "jobs ls" "results ls" "checkpoints ls"; do
    # shellcheck disable=SC2086
    expect 0 $arguments
    stderr_has 'nothing found in cluster "/default"'
    # shellcheck disable=SC2086
    expect 0 $arguments --format json
    stdout_is '[]'
    # shellcheck disable=SC2086
    expect 0 $arguments --all-clusters
    stderr_has 'nothing found'
done
expect 4 jobs show $a
stderr_has "no job $a in cluster \"/default\""
expect 4 jobs get $a "$work/none"
[ ! -e "$work/none" ] || failed "a file for a graph that is not there"
expect 4 jobs rm $a --yes

# Usage: ids, numbers of arguments, options of other actions.
for arguments in "jobs" "jobs copy" "jobs ls extra" "jobs show" "jobs show x" "jobs show $a $a" "jobs show ${a}0" "jobs show ${a%f}" \
    "jobs show ${a%f}g" "jobs show --" "jobs put $a" "jobs put x -" "jobs put $a - extra" "jobs get $a" "jobs get x -" "jobs rm" "jobs rm x" \
    "jobs ls --force" "jobs ls --status ENDED" "jobs ls --limit -1" "jobs ls --limit many" "jobs ls --limit 99999999999999999999" \
    "jobs show $a --yes" "jobs put $a - --dry-run" "jobs ls --format xml"; do
    # shellcheck disable=SC2086
    expect 2 $arguments
    is_usage_error
done
expect 2 jobs show ''; is_usage_error
expect 2 jobs show "$a"$'\n'; is_usage_error

# Any bytes come back as they were: all values, a NUL first and last, one byte, more than one piece.
printf '\0' >"$work/one"
for value in {0..255}; do printf '%b' "\\x$(printf %02x "$value")"; done >"$work/values"
{ cat "$work/values"; printf '\0\0'; } >"$work/nul"
head -c 3500000 /dev/urandom >"$work/large"
head -c 1048576 /dev/urandom >"$work/piece"
for name in one values nul large piece; do
    expect 0 jobs put $a "$work/$name" --replace --format json
    json_is $a '$[0].job'
    json_is "$(stat -c %s "$work/$name")" '$[0].graph_bytes'
    json_is "$(sha256sum <"$work/$name" | cut -d' ' -f1)" '$[0].sha256'
    expect 0 jobs get $a "$work/back"
    stdout_is ''
    same_bytes "$work/$name" "$work/back"
    "$PGK_TEST_COMMAND" jobs get $a - >"$work/back" || failed "get to standard output"
    same_bytes "$work/$name" "$work/back"
done
"$PGK_TEST_COMMAND" jobs put $b - <"$work/nul" >"$work/out" || failed "put from standard input"
stdout_has $b_hex
# shellcheck disable=SC2002 # a pipe on both sides is the point
cat "$work/nul" | "$PGK_TEST_COMMAND" jobs put $b_hex - --replace >/dev/null || failed "put from a pipe"
"$PGK_TEST_COMMAND" jobs get 0000000000000000000000000000000B - | cmp -s - "$work/nul" || failed "get into a pipe"
same 2 "SELECT version FROM pgkeeper.job_graph WHERE job_id = '$b'"
expect 0 jobs get $b /dev/null
[ -c /dev/null ] || failed "a device was replaced"

# Not there, not readable, empty, too large: nothing is sent, not even a connection is made.
nowhere() { PGHOST=$work/nowhere expect "$@"; }
nowhere 1 jobs put $a "$work/not there"
stderr_has "cannot read $work/not there: No such file"
nowhere 1 jobs put $a "$work"
stderr_has 'Is a directory'
: >"$work/empty"
nowhere 2 jobs put $a "$work/empty"
stderr_has 'is empty: a graph has 1 byte at least'
nowhere 2 jobs put $a -
stderr_has 'standard input is empty'
truncate --size=$((256 * 1024 * 1024 + 1)) "$work/huge"
nowhere 1 jobs put $a "$work/huge"
stderr_has 'is over 256 MiB (268435456 bytes)'
code=0
PGHOST=$work/nowhere "$PGK_TEST_COMMAND" jobs put $a - <"$work/huge" >"$work/out" 2>"$work/err" || code=$?
[ $code = 1 ] || failed "a huge standard input: $code"
stderr_has 'standard input is over 256 MiB'
code=0 # through a pipe its size is not known before
# shellcheck disable=SC2002
cat "$work/huge" | PGHOST=$work/nowhere "$PGK_TEST_COMMAND" jobs put $a - >"$work/out" 2>"$work/err" || code=$?
[ $code = 1 ] || failed "a huge pipe: $code"
stderr_has 'standard input is over 256 MiB'
nowhere 3 jobs put $a "$work/one"
rm "$work/huge"

# There already: refused without --replace.
expect 1 jobs put $a "$work/one"
stderr_has "job $a has a graph already; --replace replaces it"
expect 0 jobs get $a "$work/back"
same_bytes "$work/piece" "$work/back"

# A target appears whole or not at all; its mode and a symbolic link stay; nothing else is left behind.
mkdir "$work/target"
ln -s "$work/target/real" "$work/target/link"
echo old >"$work/target/real"
chmod 640 "$work/target/real"
expect 0 jobs get $a "$work/target/link"
[ -L "$work/target/link" ] || failed "the link was replaced"
same_bytes "$work/piece" "$work/target/real"
[ "$(stat -c %a "$work/target/real")" = 640 ] || failed "mode $(stat -c %a "$work/target/real")"
ln -s "$work/target/nothing" "$work/target/dangling"
expect 1 jobs get $a "$work/target/dangling"
stderr_has 'it is a symbolic link to a file that is not there'
[ -L "$work/target/dangling" ] || failed "the dangling link was replaced"
rm "$work/target/dangling"
expect 1 jobs get $a "$work/target/no/such/directory"
expect 1 jobs get $a "$work/target"
value "UPDATE pgkeeper.job_graph SET graph = set_byte(graph, 1048575, get_byte(graph, 1048575) # 1) WHERE job_id = '$a'" >/dev/null
before=$(sha256sum "$work/target/real")
expect 1 jobs get $a "$work/target/link"
stderr_has "the graph of job $a is damaged: its bytes differ from their SHA-256"
[ "$(sha256sum "$work/target/real")" = "$before" ] || failed "a damaged graph reached the file"
expect 1 jobs get $a "$work/target/new"
expect 1 jobs get $a -
stdout_is ''
[ "$(ls "$work/target")" = $'link\nreal' ] || failed "left behind: $(ls "$work/target")"
expect 0 jobs get $b "$work/back"
if [ -w /dev/full ]; then
    code=0
    "$PGK_TEST_COMMAND" jobs get $b - >/dev/full 2>/dev/null || code=$?
    [ "$code" = 1 ] || failed "exit code $code with a full disk"
fi
expect 0 jobs put $a "$work/large" --replace

# Interrupted while it waits for the graph: the same.
expect 0 jobs put $b "$work/nul" --replace
mkfifo "$work/locker"
psql --no-psqlrc --quiet <"$work/locker" >"$work/locker.out" & children+=($!)
exec 7>"$work/locker"
echo "BEGIN; LOCK TABLE pgkeeper.job_graph; SELECT 'locked';" >&7
until_true 20 grep -q locked "$work/locker.out"
waiting=0 # sessions: the server does not see that a client is gone while it waits for a lock
waits() { [ "$(value "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgkeeper jobs get' AND wait_event_type = 'Lock'")" = $waiting ]; }
for signal in TERM INT HUP; do
    # Through env, because a shell's background commands ignore SIGINT.
    env --default-signal=INT "$PGK_TEST_COMMAND" jobs get $b "$work/target/link" 2>/dev/null & pid=$!
    children+=("$pid")
    waiting=$((waiting + 1))
    until_true 20 waits
    [ "$(ls "$work/target")" != $'link\nreal' ] || failed "no temporary file to lose"
    kill -s $signal "$pid"
    code=0
    wait "$pid" || code=$?
    [ "$code" = $((128 + $(kill -l $signal))) ] || failed "exit code $code after SIG$signal"
    [ "$(ls "$work/target")" = $'link\nreal' ] || failed "left behind: $(ls "$work/target")"
done
[ "$(sha256sum "$work/target/real")" = "$before" ] || failed "an interrupted get reached the file"
exec 7>&-

# Lists and one job, in all formats; a table fits a terminal.
value "INSERT INTO pgkeeper.job_status (cluster_id, job_id, status) VALUES ('/default', '$b', 'RUNNING');
       INSERT INTO pgkeeper.job_result (cluster_id, job_id, status, op_id) VALUES ('/default', '$b', 'CANCELED', '$b');
       INSERT INTO pgkeeper.checkpoint_counter (cluster_id, job_id, next_id) VALUES ('other', '$b', 7)" >/dev/null
value "INSERT INTO pgkeeper.job_graph (cluster_id, job_id, graph, sha256)
       SELECT 'wide', '$b', g, sha256(g) FROM (SELECT decode(repeat('00', 100000), 'hex')) x(g)" >/dev/null
expect 0 jobs ls
[ "$(wc -l <"$work/out")" = 3 ] || failed "not two jobs and a heading"
stdout_has "$b_hex  RUNNING  CANCELED"
awk 'length > 80 { exit 1 }' "$work/out" || failed "wider than 80 columns"
expect 0 jobs ls --status RUNNING --format csv
[ "$(wc -l <"$work/out")" = 2 ] || failed "not one job and a heading"
expect 0 jobs ls --status DONE --format ndjson
stdout_is ''
expect 0 jobs ls --limit 1 --format ndjson
[ "$(wc -l <"$work/out")" = 1 ] || failed "more than the limit"
expect 0 jobs ls --all-clusters --format json
json_is 4 '$.size()'
expect 0 --cluster other jobs ls --format json
json_is 7 '$[0].next_checkpoint_id'
json_is null '$[0].graph_bytes.type()'
json_is false '$[0].owned'
expect 0 jobs show $b
grep -q '^graph_bytes  *258$' "$work/out" || failed "size"
grep -q '^result_state  *dirty$' "$work/out" || failed "result"
expect 0 jobs show $b --format json
json_is "$b_hex" '$[0].job'
json_is 1 '$.size()'

# A job with a result is stored, and the caller told that nobody will run it.
expect 0 jobs put $b "$work/one" --replace
stderr_has 'has a result: no leader will run it'

# Removing: shows, asks, removes; writes the audit.
expect 0 jobs rm $a --dry-run
stdout_has $a
same 1 "SELECT count(*) FROM pgkeeper.job_graph WHERE cluster_id = '/default' AND job_id = '$a'::uuid"
expect 1 jobs rm $a
stderr_has 'nothing was done; --yes'
same 1 "SELECT count(*) FROM pgkeeper.job_graph WHERE cluster_id = '/default' AND job_id = '$a'::uuid"
expect 0 jobs rm $a --yes
stdout_has 3500000
same 0 "SELECT count(*) FROM pgkeeper.job_graph WHERE cluster_id = '/default' AND job_id = '$a'::uuid"
same 1 "SELECT count(*) FROM pgkeeper.event WHERE act = 'delete job_graph' AND subject = '$a' AND by_hand"
same 'insert job_graph' "SELECT act FROM pgkeeper.event WHERE subject = '$a' ORDER BY at LIMIT 1"
expect 4 jobs rm $a --yes
same 1 "SELECT count(*) FROM pgkeeper.job_graph WHERE cluster_id = 'wide'"

# Owned by a leader that is alive: refused without --force; once it is gone, not.
contend leader dispatcher --address here; leader=$pid
expect 0 leader dispatcher --wait 20s
expect 0 jobs put $a "$work/one"
value "INSERT INTO pgkeeper.job_store (store_id, cluster_id, leadership_id, epoch)
       SELECT '$b', cluster_id, id, epoch FROM pgkeeper.leadership WHERE released_at IS NULL;
       UPDATE pgkeeper.job_graph SET owners = '{$b}' WHERE job_id = '$a'::uuid" >/dev/null
expect 0 jobs ls --format json
json_is true "\$[*] ? (@.job == \"$a\").owned"
expect 0 jobs show $a
stdout_has 'leader of group "master", epoch 1.1'
for how in "--yes" "--dry-run"; do
    expect 1 jobs rm $a $how
    stderr_has "job $a belongs to the leader of group \"master\", epoch 1.1, which is alive: it would be told that its job is gone; --force"
done
expect 1 jobs put $a "$work/nul"
stderr_has 'has a graph already'
expect 1 jobs put $a "$work/nul" --replace
stderr_has 'which is alive: its next write of this graph would fail with a conflict; --force'
expect 0 jobs get $a "$work/back"
same_bytes "$work/one" "$work/back"
expect 0 jobs put $a "$work/nul" --replace --force
expect 0 jobs rm $a --yes --force
expect 0 jobs put $a "$work/one"
value "UPDATE pgkeeper.job_graph SET owners = '{$b}' WHERE job_id = '$a'::uuid" >/dev/null
expect 1 jobs rm $a --yes
stop "$leader" 0
expect 0 jobs put $a "$work/nul" --replace
expect 0 jobs rm $a --yes

# The answer stays out: nobody knows whether it was done, and that is said.
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 >/dev/null <<'SQL'
CREATE FUNCTION public.end_session() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_catalog.pg_terminate_backend(pg_catalog.pg_backend_pid()); PERFORM pg_catalog.pg_sleep(60); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER trap AFTER INSERT OR DELETE ON pgkeeper.job_graph DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION public.end_session();
SQL
expect 5 jobs put $a "$work/one"
stderr_has 'it may have been done or not'
expect 5 jobs rm $b --yes
expect 5 cleanup job $b --yes
expect 5 cleanup cluster --yes
value "DROP TRIGGER trap ON pgkeeper.job_graph" >/dev/null

# Roles: the monitor reads what is no payload; the application writes; the operator does neither.
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --file="$PGK_SOURCE_DIR/sql/roles.sql" >/dev/null
for role in application monitor operator; do
    value "CREATE ROLE as_$role LOGIN IN ROLE pgkeeper_$role" >/dev/null
done
for role in monitor operator; do
    for arguments in "jobs ls" "jobs show $b" "results ls" "results show $b" "checkpoints ls" "counter get $b"; do
        # shellcheck disable=SC2086
        PGUSER=as_$role expect 0 $arguments
    done
    for arguments in "jobs put $a $work/one" "jobs put $b $work/one --replace" "jobs get $b -" "jobs rm $b --yes" "results mark-clean $b" \
        "counter set $b 9" "checkpoints rm $b 1 --yes"; do
        # shellcheck disable=SC2086
        PGUSER=as_$role expect 3 $arguments
        stderr_has 'lacks a grant, see sql/roles.sql'
        stdout_is ''
    done
done
PGUSER=as_monitor expect 3 purge --yes
PGUSER=as_operator expect 0 purge --yes
PGUSER=as_application expect 0 jobs put $a "$work/one"
PGUSER=as_application expect 0 jobs get $a "$work/back"
same_bytes "$work/one" "$work/back"
PGUSER=as_application expect 0 jobs rm $a --yes
same as_application "SELECT role_name FROM pgkeeper.event WHERE act = 'delete job_graph' ORDER BY at DESC LIMIT 1"
echo "jobs: all as expected"
