#!/usr/bin/env bash
# pgkeeper config show: values, where they come from, what is said of a file; no secrets, no database.
. "$(dirname "$0")/lib/common.sh"
export PGHOST=$work/nowhere # no server is asked
file=$work/flink-conf.yaml

expect 0 config show --format csv
keys=$(($(wc -l <"$work/out") - 1))
[ "$keys" -ge 37 ] || failed "only $keys keys"
[ "$(cut -d, -f3 "$work/out" | sort -u | tr '\n' ' ')" = "default source " ] || failed "something is set"
expect 0 config show --set --format csv
[ "$(wc -l <"$work/out")" = 1 ] || failed "something is set"

printf '\xef\xbb\xbf# of Flink\r\nhigh-availability: POSTGRES\r\nhigh-availability.storageDir: s3://secret-bucket\r\n' >"$file"
printf 'high-availability.zookeeper.path.namespace: /orders\r\njobmanager.rpc.address: jm\r\ntaskmanager.x: y\r\n' >>"$file"
printf 'high-availability.postgres.uri: host=db password=hunter2\r\n' >>"$file"
export PGKEEPER_RETRIEVAL_MODE=poll
expect 0 --config "$file" --schema mine config show --set --format csv
stdout_has "high-availability.type,postgres,file,$file:2 (high-availability),one of,"
stdout_has "high-availability.cluster-id,/orders,file,$file:4 (high-availability.zookeeper.path.namespace),string,"
stdout_has "jobmanager.rpc.address,jm,file,$file:5,string,"
stdout_has "retrieval.mode,poll,environment,PGKEEPER_RETRIEVAL_MODE,one of,"
stdout_has "high-availability.postgres.schema,mine,call,\"\",string,1 to 63 bytes,pgkeeper,false,"
stdout_has "high-availability.postgres.uri,(hidden),file,$file:7,string,"
stderr_has "$file: line 3: high-availability.storageDir has no effect here: everything is kept in the database"
stderr_has "line 2: high-availability is taken as high-availability.type"
! grep -qE 'hunter2|secret-bucket|taskmanager' "$work/out" "$work/err" || failed "a secret or foreign key is shown"
[ "$(wc -l <"$work/out")" = 7 ] || failed "not six keys"
[ "$(wc -l <"$work/err")" = 3 ] || failed "not three warnings"

expect 0 --config "$file" config show rest.address --format json
stdout_has '"value": "jm"'
stdout_has '"source": "default"'
stdout_has '"secret": false'
expect 0 config show --format table rest.port retrieval.mode
[ "$(grep -c . "$work/out")" -ge 2 ] || failed "no table"

# What is wrong is said with its place; of several values, with all of them.
printf 'a: b\nhigh-availability:\n  type: postgres\n' >"$file"
expect 2 --config "$file" config show
stderr_has "$file: line 3: nested blocks and lists of YAML are not read"
# shellcheck disable=SC2016 # these are the message's
stderr_has '`high-availability.type: ...`'
printf 'a: {b: c}\njobmanager: {rpc.address: x}\n' >"$file"
expect 2 --config "$file" config show
stderr_has "$file: line 2: jobmanager: nested blocks of YAML are not read"
printf 'jobmanager.rpc.port: 65536\n' >"$file"
expect 2 --config "$file" config show
stderr_has "$file: line 1: jobmanager.rpc.port \"65536\": must be a whole number from 0 to 65535"
printf 'high-availability.postgres.lease: 20 min\n' >"$file"
expect 2 --config "$file" config show --set --format csv
stdout_has "high-availability.postgres.lease,20 min,file,$file:1,"
stderr_has "contradict each other"
for arguments in "config" "config hide" "config show no.such.key" "config show -- x" "config show --nonsense"; do
    # shellcheck disable=SC2086
    expect 2 $arguments
done
stderr_has '--nonsense'

# What there is no database of is refused by all verbs that would ask one; `run` has its own exit code.
for type in none standalone embedded; do
    printf 'high-availability: %s\n' "$type" >"$file"
    expect 0 --config "$file" config show high-availability.type --format csv
    stdout_has "high-availability.type,$type,file,"
    for arguments in leaders "jobs list" "elect dispatcher" "migrate status"; do
        # shellcheck disable=SC2086
        expect 2 --config "$file" $arguments
        stderr_has "high-availability.type is $type"
    done
    expect 125 --config "$file" run --component job -- true
    stderr_has "high-availability.type is $type"
done

# A connection string that libpq cannot read may hold a password all the same.
for uri in 'postgresql://u:sekret@[::1/db' 'postgresql://u:sekret%zz@/db' 'host=h password=two sekret' "host=h password='sekret"; do
    for verb in leaders "migrate status" doctor "blobs ls" "watch dispatcher" "elect x" "run -- true" "status --check"; do
        # shellcheck disable=SC2086
        ! "$PGK_TEST_COMMAND" -d "$uri" $verb >"$work/out" 2>&1 </dev/null || failed "$verb takes $uri"
        # shellcheck disable=SC2086
        ! PGKEEPER_HIGH_AVAILABILITY_POSTGRES_URI=$uri "$PGK_TEST_COMMAND" $verb >>"$work/out" 2>&1 </dev/null || failed "$verb takes $uri"
        ! grep -q sekret "$work/out" || failed "$verb shows a password"
    done
done
