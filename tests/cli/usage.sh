#!/usr/bin/env bash
# Help, bad input, and where the configuration comes from: every verb, every exit code.
. "$(dirname "$0")/lib/common.sh"

expect 0 --help
verbs=$(awk '/^verbs/ { on = 1; next } /^$/ { on = 0 } on { print $1 }' "$work/out")
[ "$(wc -w <<<"$verbs")" -ge 13 ] || failed "too few verbs in the help"
awk 'length > 80 { exit 1 }' "$work/out" || failed "help is wider than 80 columns"
for verb in $verbs; do
    expect 0 "$verb" --help
    stdout_has "usage: pgkeeper $verb"
    expect 0 help "$verb"
    stdout_has "usage: pgkeeper $verb"
    awk 'length > 80 { exit 1 }' "$work/out" || failed "help of $verb is wider than 80 columns"
    usage=2
    [ "$verb" = run ] && usage=125 # its other codes are those of the program that it runs
    expect $usage "$verb" --no-such-option
    is_usage_error
    stderr_has '"--no-such-option"'
done
expect 0 --version
stdout_is "pgkeeper $(sed -n 's/^project(pgkeeper VERSION \([0-9.]*\).*/\1/p' "$PGK_SOURCE_DIR/CMakeLists.txt")"

expect 2
[ ! -s "$work/out" ] || failed "help on stdout without being asked"
for arguments in "nonsense" "--nonsense" "-x" "leader" "leader a b" "leader a -- b" "leaders --format" "leaders --format=xml" \
    "history --limit many" "history --limit -3" "history --limit 99999999999" "leader c --wait 5parsecs" "leader c --wait -1" \
    "resign" "resign a b" "switchover" "switchover c --to" "kick" "kick --yes=1 c" "elect" "elect a b" "elect c --format csv" \
    "elect c --take-over sometimes" "elect c --address=" "elect c --once=yes" "watch --format json" "server extra" "server --set novalue" "server --" \
    "help nonsense" "version extra" "--cluster= leaders" "--schema= leaders"; do
    # shellcheck disable=SC2086
    expect 2 $arguments
    is_usage_error
done
# As a probe wrong usage is UNKNOWN, wherever it stands; run's codes below 125 are its program's.
for arguments in "--bogus status --check" "status --check --bogus" "status --check --format" "status --format=xml --check" \
    "status --check extra"; do
    # shellcheck disable=SC2086
    expect 3 $arguments
    is_usage_error
done
expect 125 --bogus run -- true
expect 2 --cluster "$(printf 'x%.0s' {1..201})" leaders; is_usage_error
expect 2 -d 'no such = = conninfo' leaders; is_usage_error
expect 1 --config "$work/no such file" leaders

# 6: no schema; 3: no server, no such role, no such database.
expect 6 leaders
stderr_has 'run: pgkeeper migrate up'
expect 6 --schema 'my app' leaders
stderr_has "run: pgkeeper --schema 'my app' migrate up"
for verb in "leader c" contenders history "resign c" "switchover c" "kick c --yes" "watch" "elect c"; do
    # shellcheck disable=SC2086
    expect 6 $verb
    stderr_has 'migrate'
done
expect 3 -d "host=$work" leaders
expect 3 -d 'user=nobody_here' leaders
expect 3 -d "nothing'\\_here" leaders
stderr_has "nothing'\\_here"
expect 3 -d 'dbname=nothing_here' leaders
stderr_has nothing_here

# Nothing found: data says so in its own way, and a person is told where it was looked for.
pgkeeper --schema empty migrate up 2>/dev/null
for verb in leaders contenders history; do
    expect 0 --schema empty $verb elsewhere
    stderr_has 'nothing found of elsewhere in cluster "/default"'
    expect 0 --schema empty $verb --format json
    stdout_is '[]'
    [ ! -s "$work/err" ] || failed "talk besides []"
done

# Options before and after the verb, with a space or '='; environment; file; and who wins.
pgkeeper --schema a migrate up 2>/dev/null
pgkeeper --schema b migrate up 2>/dev/null
value "INSERT INTO a.leadership (cluster_id, group_name) VALUES ('one', 'in a'), ('two', 'in a two')" >/dev/null
value "INSERT INTO b.leadership (cluster_id, group_name) VALUES ('one', 'in b')" >/dev/null
found() { stdout_has "$1"; [ "$(wc -l <"$work/out")" = 2 ] || failed "more than the one row"; }
expect 0 --schema a --cluster one leaders --format csv; found "in a"
expect 0 leaders --format=csv --schema=a --cluster=one; found "in a"
expect 0 --schema a leaders --cluster two --format csv; found "in a two"
export PGKEEPER_HIGH_AVAILABILITY_POSTGRES_SCHEMA=b PGKEEPER_HIGH_AVAILABILITY_CLUSTER_ID=one
expect 0 leaders --format csv; found "in b"
expect 0 leaders --format csv --schema a; found "in a"
printf 'high-availability.cluster-id: two # comment\nhigh-availability.postgres.schema: a\nother.key: kept\n' >"$work/file"
expect 0 leaders --format csv --config "$work/file"; found "in b"
unset PGKEEPER_HIGH_AVAILABILITY_POSTGRES_SCHEMA PGKEEPER_HIGH_AVAILABILITY_CLUSTER_ID
expect 0 leaders --format csv --config "$work/file"; found "in a two"
expect 0 leaders --format csv --config "$work/file" --cluster one; found "in a"
expect 0 -d "host=$PGHOST port=$PGPORT user=$PGUSER dbname=$PGDATABASE" --schema a --cluster one leaders --format csv; found "in a"
# The outer shell puts the true host into the URI before PGHOST changes.
# shellcheck disable=SC2097,SC2098
PGHOST=/nowhere expect 0 -d "postgresql:///$PGDATABASE?host=$PGHOST&port=$PGPORT&user=$PGUSER" --schema a leaders
PGKEEPER_HIGH_AVAILABILITY_POSTGRES_LEASE=never expect 2 leaders
printf 'high-availability.postgres.typo: 1\n' >"$work/file"
expect 2 leaders --config "$work/file"
stderr_has 'high-availability.postgres.typo'
printf '[svc]\nhost=%s\nport=%s\nuser=%s\ndbname=%s\n' "$PGHOST" "$PGPORT" "$PGUSER" "$PGDATABASE" >"$work/service"
PGHOST='' PGSERVICEFILE=$work/service expect 0 -d service=svc --schema a leaders

# version needs no database, and tells of one that it is given.
PGHOST=/nowhere expect 0 version --format json
expect 0 version -d "dbname=$PGDATABASE" --schema a
stdout_has server
expect 6 version -d "dbname=$PGDATABASE"
expect 3 version -d "host=/nowhere"
stdout_has library
echo "usage: all as expected"
