#!/usr/bin/env bash
# What the services of docker-compose.yml run, run here in their order, on this case's server instead of theirs: the
# schema, the roles and a login that may take part and no more, three masters; the leader is killed.
. "$(dirname "$0")/lib/common.sh"
file=$PGK_SOURCE_DIR/docker-compose.yml

# The lines of a service, or of a block that services share; the words of its command, one a line, as compose reads
# them; a value of its environment.
block() { awk -v name="$1:" '/^[a-z]/ { top = $1 } /^[a-z]/ || (top == "services:" && /^  [a-z]/) { inside = $1 == name } inside' "$file"; }
words() { block "$1" | sed -n 's/"\]$//; s/^ *command: \["//p' | sed 's/", "/\n/g; s/\$\$/$/g'; }
environment() { block "$1" | sed -n "s/^ *$2: //p"; }

mapfile -t command < <(words migrate)
expect 0 "${command[@]}"
mapfile -t command < <(words roles)
for round in first second; do
    "${command[@]/#\/roles.sql/$PGK_SOURCE_DIR/sql/roles.sql}" >"$work/out" 2>"$work/err" ||
        failed "the service roles, for the $round time"
done
app=$(environment x-master PGUSER)
[ -n "$app" ] || failed "no user of the masters"
same f "SELECT rolsuper FROM pg_roles WHERE rolname = '$app'"

declare -A master=()
for name in alpha beta gamma; do
    mapfile -t command < <(words "$name")
    PGUSER=$app PGPASSWORD=$(environment x-master PGPASSWORD) "$PGK_BUILD_DIR/examples/master" "${command[@]}" \
        >"$work/$name" 2>&1 &
    master[$name:7000]=$!
    children+=("$!")
done
expect 0 leader dispatcher --wait 20s
first=$(cat "$work/out")
standing_by() { [ "$(value "SELECT count(*) FROM pgkeeper.stat_contenders WHERE state = 'standby'")" = "$1" ]; }
until_true 20 standing_by 2
kill -KILL "${master[$first]}"
another() { [ "$(pgkeeper leader dispatcher)" != "$first" ] && standing_by 1; }
until_true 20 another
expect 0 leader dispatcher
second=$(cat "$work/out")
[ -n "${master[$second]}" ] || failed "\"$second\" leads"

mapfile -t command < <(words pgkeeper)
expect 0 "${command[@]}"
stdout_has "$second"
