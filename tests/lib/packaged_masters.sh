#!/usr/bin/env bash
# packaged_masters.sh WORK ROOT: on a fresh server (PGHOST ...), two masters (WORK/master) with the schema, the roles and
# the command of an installation in ROOT: one leads, is killed, the other finishes the job.
set -eu
work=$1 root=$2
declare -A pid=()
end() {
    local child
    for child in "${pid[@]}"; do kill -KILL "$child" 2>/dev/null || true; done
    cat "$work"/*.talk
}
trap end EXIT
mkfifo "$work/never"

pgkeeper migrate up
psql --no-psqlrc --quiet --file="$root/usr/share/pgkeeper/roles.sql"
psql --no-psqlrc --quiet --command='CREATE ROLE app LOGIN IN ROLE pgkeeper_application'
for name in alpha beta; do
    PGUSER=app "$work/master" $name "$name:7000" >"$work/$name.talk" 2>&1 &
    pid[$name]=$!
done

first=$(pgkeeper leader dispatcher --wait 20s)
first=${first%:*}
printf 'one\ntwo\nthree\n' | PGUSER=app pgkeeper jobs put 00000000000000000000000000000001 -
kill -KILL "${pid[$first]}"
[ "$first" = alpha ] && second=beta || second=alpha
deadline=$((SECONDS + 20))
until [ "$(pgkeeper leader dispatcher 2>/dev/null)" = "$second:7000" ] &&
    pgkeeper results show 00000000000000000000000000000001 --format csv 2>/dev/null | grep -q ',clean,'; do
    [ $SECONDS -lt $deadline ] || { echo "$second did not take over and finish in time"; exit 1; }
    read -r -t 0.05 <>"$work/never" || true
done
kill -TERM "${pid[$second]}"
wait "${pid[$second]}"
