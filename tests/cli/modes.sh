#!/usr/bin/env bash
# examples/master.c, one program, started with three configurations: it does the same in each of the modes.
. "$(dirname "$0")/lib/common.sh"

expect 0 migrate up
seq 400 >"$work/graph"
lines=$(wc -l <"$work/graph") bytes=$(wc -c <"$work/graph")
modes=(postgres embedded standalone)

for mode in "${modes[@]}"; do
    PGKEEPER_HIGH_AVAILABILITY_TYPE=$mode "$PGK_BUILD_DIR/examples/master" alpha alpha:1 "$work" "$work/graph" \
        >"$work/$mode" 2>&1 &
    children+=("$!")
done
for i in "${!modes[@]}"; do
    mode=${modes[i]}
    until_true 60 grep -q " finished $lines lines $bytes bytes$" "$work/$mode"
    kill -USR1 "${children[i]}" # a write under the token that it has
    until_true 20 grep -q ' late write ' "$work/$mode"
    kill -TERM "${children[i]}"
    code=0
    wait "${children[i]}" || code=$?
    [ "$code" = 0 ] || failed "$mode: exit code $code: $(cat "$work/$mode")"
done

# Word for word, but for the times and the epoch. A checkpoint is taken every ten steps, whatever they last.
said() { sed 's/^[0-9.]* //; s/ epoch [0-9.]*$/ epoch/' "$work/$1"; }
for mode in embedded standalone; do
    difference=$(diff <(said postgres) <(said "$mode")) || failed "postgres (<) and $mode (>) differ: $difference"
done
[ "$(said postgres | grep -c ' checkpoint ')" -ge 10 ] || failed "hardly a checkpoint: $(said postgres)"
said postgres >"$work/out"
stdout_has 'alpha granted epoch'
stdout_has 'alpha late write PGK_OK'
[ "$(tail -n 1 "$work/out")" = 'alpha revoked' ] || failed "it does not end with a revoke"

# What differs by design: the epoch of a fixed leader is 0; and it was the database that kept the result.
grep -q ' granted epoch 0\.0$' "$work/standalone" || failed "an epoch without an election"
grep -q ' granted epoch 0\.1$' "$work/embedded" || failed "not the first epoch of this process"
same 1 "SELECT count(*) FROM pgkeeper.job_result WHERE status = 'FINISHED' AND state = 'clean'"
