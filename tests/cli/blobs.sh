#!/usr/bin/env bash
# pgkeeper blobs, pgkeeper orphans: any bytes in and out, whole or not at all; damage, what a removal takes along, roles.
. "$(dirname "$0")/lib/common.sh"
expect 6 blobs ls
pgkeeper --schema old migrate up --to 2 2>/dev/null
expect 6 --schema old blobs ls
stderr_has 'is at version 2, this command needs 3; run: pgkeeper --schema'
expect 6 --schema old orphans
pgkeeper migrate up 2>/dev/null

sha1_of() { sha1sum <"$1" | cut -d ' ' -f 1; }
objects() { value 'SELECT count(*) FROM pg_largeobject_metadata'; }
a=0123456789abcdef0123456789abcdef
b=0000000000000000000000000000000b
none=p-da39a3ee5e6b4b0d3255bfef95601890afd80709-00000000000000000000000000000000

# Nothing there yet.
expect 0 blobs ls
stderr_has 'nothing found in cluster "/default"'
expect 0 blobs ls --format json
stdout_is '[]'
expect 0 blobs verify --all --format json
stdout_is '[]'
expect 4 blobs verify --job $a
stderr_has "no blob of job $a in cluster \"/default\""
for arguments in "stat $none" "verify $none" "rm $none --yes" "get $none $work/none" "get $none -"; do
    # shellcheck disable=SC2086
    expect 4 blobs $arguments
    stderr_has "no blob $none of no job in cluster \"/default\""
done
[ ! -e "$work/none" ] || failed "a file for a blob that is not there"
expect 4 blobs rm --job $a --yes
expect 0 orphans
stderr_has 'no orphans in schema "pgkeeper"'

# Usage.
for arguments in "blobs" "blobs copy" "blobs ls extra" "blobs ls --job x" "blobs ls --limit many" "blobs stat" "blobs stat x" \
    "blobs stat ${none}0" "blobs stat ${none%0}" "blobs stat x${none#p}" "blobs stat $none $none" "blobs put" "blobs put a b" \
    "blobs put - --key x" "blobs put - --key $none --transient" "blobs put - --job ${a}0" "blobs get $none" "blobs get x -" \
    "blobs get $none - --yes" "blobs rm" "blobs rm --yes" "blobs rm x" "blobs verify" "blobs verify --all --job $a" \
    "blobs verify $none --all" "blobs verify x" "orphans extra" "orphans --yes" "orphans --dry-run" "blobs ls --format xml"; do
    # shellcheck disable=SC2086
    expect 2 $arguments
    is_usage_error
done

# Any bytes come back as they were: none, all values, more than a piece; from and to files, pipes and devices.
: >"$work/empty"
for value in {0..255}; do printf '%b' "\\x$(printf %02x "$value")"; done >"$work/values"
head -c 3500000 /dev/urandom >"$work/large"
for name in empty values large; do
    expect 0 blobs put "$work/$name" --job $a
    key=$(cat "$work/out")
    [[ $key =~ ^p-$(sha1_of "$work/$name")-[0-9a-f]{32}$ ]] || failed "key $key"
    expect 0 blobs get "$key" "$work/back" --job $a
    [ ! -s "$work/out" ] && [ ! -s "$work/err" ] || failed "talk without a terminal"
    same_bytes "$work/$name" "$work/back"
    "$PGK_TEST_COMMAND" blobs get "$key" - --job $a | cmp -s - "$work/$name" || failed "get into a pipe"
    # shellcheck disable=SC2002 # a pipe is the point
    piped=$(cat "$work/$name" | "$PGK_TEST_COMMAND" blobs put - --transient --format csv | sed -n 2p) || failed "put from a pipe"
    [[ $piped = t-$(sha1_of "$work/$name")-*,$(stat -c %s "$work/$name"),* ]] || failed "$piped"
done
expect 0 blobs get "$key" /dev/null --job $a
[ -c /dev/null ] || failed "a device was replaced"

# What is known of it, in all formats; where else it is.
expect 0 blobs stat "$key" --job $a --format json
json_is "$key" '$[0].blob_key'
json_is 3500000 '$[0].bytes'
json_is $a '$[0].job'
json_is permanent '$[0].type'
json_is "$(sha256sum <"$work/large" | cut -d ' ' -f 1)" '$[0].sha256'
expect 0 blobs stat "$key" --job $a
grep -q '^bytes  *3500000$' "$work/out" && grep -q '^size_text  *3418 kB$' "$work/out" || failed "sizes"
expect 4 blobs stat "$key"
stderr_has "there is one of job $a: name it by --job"
expect 4 blobs get "$key" "$work/none" --job $b
stderr_has "no blob $key of job $b in cluster \"/default\"; there is one of job $a"
expect 0 blobs ls --job $a --format csv
[ "$(wc -l <"$work/out")" = 4 ] || failed "not three of the job"
expect 0 blobs ls --format ndjson
[ "$(wc -l <"$work/out")" = 6 ] || failed "not six in all"
expect 0 blobs ls --limit 2 --format ndjson
[ "$(wc -l <"$work/out")" = 2 ] || failed "not two"
expect 0 --cluster other blobs ls
stderr_has 'nothing found in cluster "other"'
expect 0 --cluster other blobs ls --all-clusters --format ndjson
[ "$(wc -l <"$work/out")" = 6 ] || failed "not six of all clusters"
expect 0 jobs show $a --format json
json_is 3 '$[0].blobs'
json_is 3500256 '$[0].blob_bytes'

# Under a given key: the content has to be the key's; then it replaces what is there.
before=$(value "SELECT string_agg(loid::text, ',' ORDER BY loid) FROM pgkeeper.blob")
expect 1 blobs put "$work/values" --job $a --key "$key"
stderr_has "the content of $work/values is not that of $key: nobody could get it; nothing was stored"
code=0
"$PGK_TEST_COMMAND" blobs put - --job $a --key "$key" <"$work/values" >"$work/out" 2>"$work/err" || code=$?
[ $code = 1 ] || failed "another content by standard input: $code"
stderr_has 'the content of standard input is not that of'
same "$before" "SELECT string_agg(loid::text, ',' ORDER BY loid) FROM pgkeeper.blob"
expect 0 blobs put "$work/large" --job $a --key "$key"
stdout_is "$key"
"$PGK_TEST_COMMAND" blobs put - --job $a --key "$key" <"$work/large" >/dev/null || failed "the right content by standard input"
same 6 "SELECT count(*) FROM pgkeeper.blob"
[ "$(objects)" = 6 ] || failed "$(objects) objects for 6 blobs"

# Not there, not readable: nothing is stored. A file that cannot be written: nothing is left.
expect 1 blobs put "$work/not there"
stderr_has 'No such file'
expect 1 blobs put "$work"
stderr_has 'directory'
mkdir "$work/target"
expect 1 blobs get "$key" "$work/target" --job $a
stderr_has "cannot write $work/target: Is a directory"
expect 1 blobs get "$key" "$work/target/no/such/directory" --job $a
stderr_has 'No such file'
[ -z "$(ls "$work/target")" ] || failed "left behind: $(ls "$work/target")"
if [ -w /dev/full ]; then
    expect 1 blobs get "$key" /dev/full --job $a
    stderr_has 'No space left'
fi
PGHOST=$work/nowhere PGKEEPER_HIGH_AVAILABILITY_POSTGRES_CONNECT_TIMEOUT=1s expect 3 blobs put "$work/large"

# A target's mode and a symbolic link stay.
ln -s "$work/target/real" "$work/target/link"
echo old >"$work/target/real"
chmod 640 "$work/target/real"
expect 0 blobs get "$key" "$work/target/link" --job $a
[ -L "$work/target/link" ] || failed "the link was replaced"
[ "$(stat -c %a "$work/target/real")" = 640 ] || failed "mode $(stat -c %a "$work/target/real")"
same_bytes "$work/large" "$work/target/real"
ln -s "$work/target/nothing" "$work/target/dangling"
expect 1 blobs get "$key" "$work/target/dangling" --job $a
stderr_has 'it is a symbolic link to a file that is not there'
[ -L "$work/target/dangling" ] || failed "the dangling link was replaced"
rm "$work/target/dangling"

# A standard descriptor that is closed is not another file or the connection.
closed() {
    local what=$1 code=0
    shift
    "$@" 2>"$work/err" || code=$?
    [ $code = 1 ] || failed "$what closed: exit code $code" >&2
    stderr_has 'Bad file descriptor' >&2
}
closed 'standard input' "$PGK_TEST_COMMAND" blobs put - --job $a <&- >"$work/out"
closed 'standard output' "$PGK_TEST_COMMAND" blobs get "$key" - --job $a >&-
same 6 "SELECT count(*) FROM pgkeeper.blob"

# Damage: nothing is written, not even a byte to standard output; verify reports it and goes on.
expect 0 blobs verify "$key" --job $a
stdout_has ' ok '
echo old >"$work/target/real"
value "SELECT lo_put((SELECT loid FROM pgkeeper.blob WHERE blob_key = '$key'), 3000000, '\\x00010203')" >/dev/null
expect 1 blobs get "$key" "$work/target/link" --job $a
stderr_has "$key"
stderr_has "nothing was written to $work/target/link"
[ "$(cat "$work/target/real")" = old ] || failed "a damaged blob reached the file"
[ "$(ls "$work/target")" = $'link\nreal' ] || failed "left behind: $(ls "$work/target")"
expect 1 blobs get "$key" - --job $a
stdout_is ''
gone=$(value "SELECT blob_key FROM pgkeeper.blob WHERE job_id IS NULL AND size = 256")
value "SELECT lo_unlink(loid) FROM pgkeeper.blob WHERE blob_key = '$gone'" >/dev/null
expect 1 blobs verify --all --format csv
[ "$(grep -c ',ok,' "$work/out")" = 4 ] || failed "not four that are ok"
grep -q "^$key,damaged," "$work/out" && grep -q "^$gone,damaged," "$work/out" || failed "not the two that are damaged"
stderr_has "(job $a)"
stderr_has "$gone"
stderr_has '2 of 6 blobs are damaged'
expect 1 blobs verify --job $a
expect 1 blobs verify "$key" --job $a --format json
json_is damaged '$[0].state'
expect 0 blobs put "$work/large" --job $a --key "$key"
expect 0 blobs verify --job $a
stderr_has 'all 3 blobs are whole: 3418 kB read'
# A size reads the same wherever it is told.
same "$(awk '$3 == 3500000 { print $4, $5 }' "$work/out")" "SELECT DISTINCT size_text FROM pgkeeper.stat_blobs WHERE size = 3500000"

# Interrupted while the stream has not ended: nothing is stored, nothing is left; the exit code is the signal's.
count=$(objects)
mkfifo "$work/stream"
for signal in TERM INT HUP; do
    { head -c 3000000 "$work/large"; touch "$work/sent"; exec sleep 60; } >"$work/stream" 2>/dev/null & feeder=$!
    children+=("$feeder")
    env --default-signal=INT "$PGK_TEST_COMMAND" blobs put - <"$work/stream" >"$work/out" 2>"$work/err" & pid=$!
    children+=("$pid")
    until_true 20 test -e "$work/sent"
    rm "$work/sent"
    kill -s $signal "$pid"
    code=0
    wait "$pid" || code=$?
    [ "$code" = $((128 + $(kill -l $signal))) ] || failed "exit code $code after SIG$signal"
    stderr_has 'interrupted; nothing was stored'
    { kill -KILL "$feeder"; wait "$feeder" || true; } 2>/dev/null
done
same 6 "SELECT count(*) FROM pgkeeper.blob"
[ "$(objects)" = "$count" ] || failed "$(objects) objects instead of $count"
expect 0 orphans --format json
stdout_is '[]'

# Orphans: what no row points to; asked for before it goes.
lost=$(value "SELECT pgkeeper.blob_object_new('\\x00010203')")
value "SELECT lo_create(0)" >/dev/null # somebody's own: none of ours
expect 0 orphans --format json
json_is "$lost" '$[0].loid'
json_is 4 '$[0].bytes'
json_is lost '$[0].kind'
expect 0 orphans --remove --dry-run
stdout_has "$lost"
expect 1 orphans --remove
stderr_has 'nothing was done; --yes does it without asking'
same 1 "SELECT count(*) FROM pg_largeobject_metadata WHERE oid = $lost"
expect 0 orphans --remove --yes
stdout_has "$lost"
same 0 "SELECT count(*) FROM pg_largeobject_metadata WHERE oid = $lost"
[ "$(objects)" = $((count + 1)) ] || failed "somebody's own object went"

# Removal: one, all of a job, with its bytes. (That of an owned job: ownership.sh.)
expect 1 blobs rm "$gone"
stderr_has 'nothing was done; --yes does it without asking'
expect 0 blobs rm "$gone" --dry-run
stdout_has "$gone"
expect 0 blobs rm "$gone" --yes
expect 4 blobs stat "$gone"
expect 0 blobs rm --job $a --dry-run --format ndjson
[ "$(wc -l <"$work/out")" = 3 ] || failed "not three to be removed"
same 5 "SELECT count(*) FROM pgkeeper.blob"
expect 0 blobs rm --job $a --yes
same 2 "SELECT count(*) FROM pgkeeper.blob"
[ "$(objects)" = 3 ] || failed "$(objects) objects for 2 blobs and somebody's own"

# Cleaning up counts them and takes them along.
expect 0 blobs put "$work/large" --job $b
expect 0 cleanup job $b --dry-run --format json
json_is 1 '$[0].blobs'
json_is 3500000 '$[0].blob_bytes'
expect 0 cleanup job $b --yes
[ "$(objects)" = 3 ] || failed "$(objects) objects after the clean-up of a job"
expect 0 cleanup cluster --dry-run --format json
json_is 2 '$[0].blobs'
expect 0 cleanup cluster --yes
[ "$(objects)" = 1 ] || failed "$(objects) objects after the clean-up of the cluster"
expect 0 orphans --format json
stdout_is '[]'

# On a terminal: how far it is, and how it ended, on standard error; the key alone on standard output.
if command -v script >/dev/null; then
    head -c 30000000 /dev/urandom >"$work/long"
    # shellcheck disable=SC2016 # for the inner shell
    W=$work script -qec '"$PGK_TEST_COMMAND" blobs put "$W/long" >"$W/out"; stty cols 60; "$PGK_TEST_COMMAND" blobs get "$(cat "$W/out")" "$W/back"' \
        "$work/err" >/dev/null </dev/null || failed "on a terminal"
    grep -qE '^p-[0-9a-f]{40}-[0-9a-f]{32}$' "$work/out" || failed "not the key alone"
    stderr_has 'pgkeeper blobs put: stored 29 MB (30000000 bytes) in '
    stderr_has 'of 29 MB'
    stderr_has '####'
    stderr_has 'pgkeeper blobs get: fetched 29 MB (30000000 bytes) in '
    same_bytes "$work/long" "$work/back"
fi
echo "blobs: all as expected"
