#!/usr/bin/env bash
# pgkeeper results, checkpoints, counter, cleanup and purge.
. "$(dirname "$0")/lib/common.sh"
pgkeeper migrate up 2>/dev/null

lines_are() { [ "$(wc -l <"$work/out")" = "$1" ] || failed "$(wc -l <"$work/out") lines, not $1"; }
fits() { awk 'length > 80 { exit 1 }' "$work/out" || failed "wider than 80 columns"; }
a=0000000000000000000000000000000a
b=0000000000000000000000000000000b
c=0000000000000000000000000000000c

for arguments in "results" "results rm $a" "results ls $a" "results show" "results show $a $b" "results show x" "results mark-clean" \
    "results mark-clean $a --yes" "checkpoints" "checkpoints add" "checkpoints ls x" "checkpoints ls $a $b" "checkpoints ls --state gone" \
    "checkpoints show" "checkpoints show $a x" "checkpoints show $a 1 2" "checkpoints rm $a" "checkpoints rm $a 1x" "checkpoints rm $a -1" \
    "checkpoints rm x 1" "counter" "counter next $a" "counter get" "counter get x" "counter set $a" "counter set $a -1" "counter set $a x" \
    "counter set $a 9223372036854775808" "counter set $a 1 2" "cleanup" "cleanup all" "cleanup job" "cleanup job x" "cleanup job $a $b" \
    "cleanup cluster extra" "purge extra" "purge --older-than" "purge --older-than soon" "purge --older-than=-1" "purge --all-clusters"; do
    # shellcheck disable=SC2086
    expect 2 $arguments
    is_usage_error
done

# Results.
expect 4 results show $a
stderr_has "no result of job $a"
expect 4 results mark-clean $a
value "INSERT INTO pgkeeper.job_result (cluster_id, job_id, status, job_name, failure, net_runtime_ms, op_id, job_ended_at) VALUES
         ('/default', '$a', 'FAILED', E'wide \u6f22\nname', E'first line\n  at second\u0007', 1234, '$a', '2026-01-02 03:04:05.678+02'),
         ('/default', '$b', 'FINISHED', '', NULL, 0, '$b', NULL), ('other', '$c', 'UNKNOWN', '', NULL, 0, '$c', NULL)" >/dev/null
expect 0 results ls; lines_are 3; fits
expect 0 results ls --all-clusters; lines_are 4
stdout_has other
expect 0 results ls --clean --format json; stdout_is '[]'
expect 0 results ls --dirty --format json
json_is 2 '$.size()'
json_is $'wide 漢\nname' '$[0].job_name'
json_is 1234 '$[0].net_runtime_ms'
json_is 2026-01-02T01:04:05.678Z '$[0].job_ended_at'
expect 0 results show $a
grep -q '^failure  *first line$' "$work/out" || failed "first line of the failure"
grep -q '^  *at second?$' "$work/out" || failed "second line of the failure"
expect 0 results mark-clean $a
same clean "SELECT state FROM pgkeeper.job_result WHERE job_id = '$a'"
same 1 "SELECT count(*) FROM pgkeeper.event WHERE act = 'update job_result' AND subject = '$a'"
first=$(value "SELECT clean_at FROM pgkeeper.job_result WHERE job_id = '$a'")
expect 0 results mark-clean $a
stderr_has 'was clean already'
same "$first" "SELECT clean_at FROM pgkeeper.job_result WHERE job_id = '$a'"
expect 0 results ls --clean; lines_are 2
for value in true on yes; do
    value "INSERT INTO pgkeeper.job_result (cluster_id, job_id, status, op_id) VALUES ('/default', '$c', 'FINISHED', '$c')" >/dev/null
    PGKEEPER_JOB_RESULT_STORE_DELETE_ON_COMMIT=$value expect 0 results mark-clean $c
    same 0 "SELECT count(*) FROM pgkeeper.job_result WHERE cluster_id = '/default' AND job_id = '$c'"
    PGKEEPER_JOB_RESULT_STORE_DELETE_ON_COMMIT=$value expect 4 results mark-clean $c
done

# Purge: only clean ones, only old ones, only this cluster.
expect 0 purge --yes --format json
json_is 0 '$[0].purged'
value "UPDATE pgkeeper.job_result SET clean_at = now() - interval '31 days' WHERE job_id = '$a';
       INSERT INTO pgkeeper.job_result (cluster_id, job_id, status, state, clean_at, op_id) VALUES
         ('other', '$a', 'FINISHED', 'clean', now() - interval '99 days', '$a')" >/dev/null
expect 0 purge --dry-run --format json
json_is 1 '$[0].rows'
expect 0 purge --dry-run --older-than "32 d" --format json
json_is 0 '$[0].rows'
PGKEEPER_JOB_RESULT_STORE_RETENTION='32 d' expect 0 purge --dry-run --format json
json_is 0 '$[0].rows'
expect 1 purge
stderr_has 'nothing was done'
same 4 "SELECT count(*) FROM pgkeeper.job_result"
expect 0 purge --yes --format json
json_is 1 '$[0].purged'
same 3 "SELECT count(*) FROM pgkeeper.job_result"
value "INSERT INTO pgkeeper.job_result (cluster_id, job_id, status, state, clean_at, op_id)
       SELECT '/default', gen_random_uuid(), 'FINISHED', 'clean', now() - interval '1 hour', gen_random_uuid() FROM generate_series(1, 2500)" >/dev/null
expect 0 purge --older-than 59min --yes --format json
json_is 2500 '$[0].purged'
same 3 "SELECT count(*) FROM pgkeeper.event WHERE act = 'delete job_result'" # those that mark-clean deleted

# Checkpoints.
expect 4 checkpoints show $a
expect 4 checkpoints rm $a 9 --yes
value "INSERT INTO pgkeeper.checkpoint (cluster_id, job_id, checkpoint_id, kind, metadata, pointer, sha256, completed_at, op_id)
       SELECT '/default', job, n, kind, CASE WHEN kind = 'checkpoint' THEN '\x00' ELSE NULL END::bytea,
              CASE WHEN kind <> 'checkpoint' THEN 's3://there' END, sha256('\x00'), now(), gen_random_uuid()
         FROM (VALUES ('$a'::uuid, 9, 'checkpoint'), ('$a', 10, 'savepoint'), ('$a', 11, 'checkpoint'), ('$b', 1, 'stop_savepoint')) x(job, n, kind)" >/dev/null
expect 0 checkpoints ls; lines_are 5; fits
expect 0 checkpoints ls $a --format json
json_is 3 '$.size()'
json_is 11 '$[2].checkpoint_id'
json_is 1 '$[0].metadata_bytes'
json_is s3://there '$[1].pointer'
expect 0 checkpoints ls --state discarding --format json; stdout_is '[]'
expect 0 checkpoints show $a --format json
json_is 11 '$[0].checkpoint_id'
expect 0 checkpoints show $a 10
stdout_has s3://there
expect 4 checkpoints show $a 12
stderr_has "no checkpoint 12 of job $a"
expect 0 checkpoints rm $a 9 --dry-run
expect 1 checkpoints rm $a 9
same 4 "SELECT count(*) FROM pgkeeper.checkpoint WHERE state = 'completed'"
expect 0 checkpoints rm $a 9 --yes --discard
same discarding "SELECT state FROM pgkeeper.checkpoint WHERE checkpoint_id = 9"
expect 4 checkpoints rm $a 9 --yes --discard
stderr_has 'is not in the list'
expect 0 checkpoints rm $a 10 --yes --discard
same retained "SELECT state FROM pgkeeper.checkpoint WHERE checkpoint_id = 10"
expect 0 checkpoints rm $a 9 --yes
same 0 "SELECT count(*) FROM pgkeeper.checkpoint WHERE checkpoint_id = 9"
same 1 "SELECT count(*) FROM pgkeeper.event WHERE act = 'delete checkpoint' AND subject = '$a'"

# The counter: up without a word, down only when asked for.
expect 0 counter get $a
stdout_is 1
expect 0 counter set $a 7
expect 0 counter get $a
stdout_is 7
expect 0 counter set $a 7
expect 0 counter set $a 12
expect 1 counter set $a 3
stderr_has 'nothing was done'
expect 0 counter get $a
stdout_is 12
expect 0 counter set $a 3 --yes
expect 0 counter get $a --format json
json_is 3 '$[0].next_id'
expect 0 counter set $a 9223372036854775807
expect 0 counter get $a
stdout_is 9223372036854775807
expect 1 counter set $c 0
expect 0 counter set $c 0 --yes
expect 0 counter get $c
stdout_is 0
same 'insert checkpoint_counter|1' "SELECT act, count(*) FROM pgkeeper.event WHERE subject = '$c' AND act LIKE '%counter' GROUP BY 1"

# Cleaning up one job: everything but its result, and nothing of others.
echo graph >"$work/graph"
for job in $a $b; do pgkeeper jobs put $job "$work/graph" >/dev/null; done
value "UPDATE pgkeeper.checkpoint SET state = 'discarding' WHERE job_id = '$a' AND checkpoint_id = 11;
       INSERT INTO pgkeeper.job_status (cluster_id, job_id, status) VALUES ('/default', '$a', 'RUNNING'), ('/default', '$b', 'DONE');
       INSERT INTO pgkeeper.job_result (cluster_id, job_id, status, op_id) VALUES ('/default', '$a', 'FINISHED', '$a')" >/dev/null
expect 0 cleanup job $a --dry-run --format json
json_is 1 '$[0].graphs'
json_is 1 '$[0].discarding'
expect 1 cleanup job $a
same 1 "SELECT count(*) FROM pgkeeper.job_graph WHERE job_id = '$a'"
expect 0 cleanup job $a --yes --format json
json_is 5 '$[0].removed'
json_is 1 '$[0].dropped'
stderr_has '1 checkpoints were still to be discarded'
same 0 "SELECT count(*) FROM pgkeeper.checkpoint WHERE job_id = '$a'"
expect 0 results show $a
expect 0 jobs show $b
expect 0 cleanup job $a --yes
expect 0 cleanup job $a --dry-run

# Owned by a leader that is alive.
contend leader dispatcher --address here; leader=$pid
expect 0 leader dispatcher --wait 20s
value "INSERT INTO pgkeeper.job_store (store_id, cluster_id, leadership_id, epoch)
       SELECT '$b', cluster_id, id, epoch FROM pgkeeper.leadership WHERE released_at IS NULL;
       UPDATE pgkeeper.job_graph SET owners = '{$b}' WHERE job_id = '$b'" >/dev/null
expect 1 cleanup job $b --yes
stderr_has 'belongs to the leader of group "master", epoch 1.1, which is alive'
expect 1 checkpoints rm $b 1 --yes
stderr_has 'which is alive: it has its own list of them; --force'
printf jar >"$work/jar"
expect 0 blobs put "$work/jar" --job $b
expect 1 blobs rm --job $b --yes
stderr_has 'which is alive: it may need them; --force'
expect 1 blobs rm "$(value "SELECT blob_key FROM pgkeeper.blob")" --job $b --dry-run
expect 0 blobs rm --job $b --yes --force
same 0 "SELECT count(*) FROM pgkeeper.blob"
expect 1 cleanup cluster --yes
stderr_has 'cluster "/default" has leaders that are alive, of "master": stop the masters first; --force'
expect 0 checkpoints rm $b 1 --yes --force
expect 0 cleanup job $b --yes --force
stop "$leader" 0

# Cleaning up a cluster: in batches; others stay.
value "INSERT INTO pgkeeper.job_status (cluster_id, job_id, status) SELECT '/default', gen_random_uuid(), 'DONE' FROM generate_series(1, 2100)" >/dev/null
epochs=$(value "SELECT count(*) FROM pgkeeper.leadership")
expect 0 cleanup cluster --dry-run --format json
json_is 2100 '$[0].done'
expect 1 cleanup cluster
stderr_has 'nothing was done'
rows="SELECT sum(n) FROM (SELECT count(*) AS n FROM pgkeeper.job_graph WHERE cluster_id = '/default'
    UNION ALL SELECT count(*) FROM pgkeeper.job_status WHERE cluster_id = '/default' UNION ALL SELECT count(*) FROM pgkeeper.job_result WHERE cluster_id = '/default'
    UNION ALL SELECT count(*) FROM pgkeeper.checkpoint WHERE cluster_id = '/default' UNION ALL SELECT count(*) FROM pgkeeper.checkpoint_counter WHERE cluster_id = '/default'
    UNION ALL SELECT count(*) FROM pgkeeper.leader WHERE cluster_id = '/default'
    UNION ALL SELECT count(*) FROM pgkeeper.job_store WHERE cluster_id = '/default') x"
before=$(value "$rows")
expect 0 cleanup cluster --yes --format json
json_is "$before" '$[0].removed'
same 0 "$rows"
same "$epochs" "SELECT count(*) FROM pgkeeper.leadership"
expect 0 --cluster other results ls; lines_are 3
expect 0 --cluster nowhere cleanup cluster --yes
stdout_has '0'

# An application cleans up without reading the views; an operator cleans up and purges; neither more.
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --file="$PGK_SOURCE_DIR/sql/roles.sql" >/dev/null
for role in application operator; do
    value "CREATE ROLE as_$role LOGIN IN ROLE pgkeeper_$role" >/dev/null
    pgkeeper jobs put $a "$work/graph" >/dev/null
    PGUSER=as_$role expect 0 cleanup job $a --yes --format json
    json_is 1 '$[0].removed'
    PGUSER=as_$role expect 0 --cluster nobodys cleanup cluster --yes
done
PGUSER=as_operator expect 0 cleanup job $a --dry-run
PGUSER=as_operator expect 0 purge --yes
PGUSER=as_application expect 0 counter set $a 5
PGUSER=as_application expect 0 counter get $a
stdout_is 5
PGUSER=as_application expect 4 checkpoints rm $a 1 --yes
PGUSER=as_application expect 4 results mark-clean $c
echo "stores: all as expected"
