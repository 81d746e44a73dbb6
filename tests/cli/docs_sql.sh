#!/usr/bin/env bash
# Runs every ```sql block of docs/{protocol,election,security,operations,dba}.md, from top to bottom, on a
# migrated server, next to two members that contend by SQL alone: one leads "dispatcher", one waits.
set -eu

# The ```sql blocks of a document.
sql_of() {
    awk '/^```/ { inside = !inside; take = inside && $0 == "```sql"; next } take' "$1"
}

# Contends as NAME in a psql of its own until its standard input ends; says "NAME ready".
contend() {
    psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --set=name="$1" --tuples-only --no-align 2>&1
}

join_sql="
SELECT member_id FROM pgkeeper.join_member(gen_random_uuid(), '/default', :'name', 'test') \\gset
SELECT pgkeeper.enroll(:member_id, '/default', 'dispatcher') AS leadership_id \\gset"
lead_sql="
SELECT gen_random_uuid() AS session_id \\gset
SELECT outcome, epoch FROM pgkeeper.take_over(:leadership_id, :member_id, :'session_id', 'immediate', 300, 1000, 1500, 1050, 500) \\gset
SELECT pgkeeper.confirm(:leadership_id, :epoch, :'session_id', 'dispatcher', '10.0.0.7:6123') AS confirmed \\gset"

# Sends SQL to a contender and waits until it has been run.
tell() {
    local out=$1 in=$2 answer
    printf '%s\n\\echo ready\n' "$3" >&"$in"
    while read -r -t 30 answer <&"$out"; do
        [ "$answer" = ready ] && return 0
        echo "contender: $answer" >&2
    done
    echo "a contender did not answer" >&2
    return 1
}

# Runs the blocks of a document; $2... are psql variables.
run_document() {
    local document=$1
    shift
    local count
    count=$(grep -c '^```sql$' "$document")
    sql_of "$document" >"$work/document.sql"
    if ! psql --no-psqlrc --set=ON_ERROR_STOP=1 "$@" --file="$work/document.sql" >"$work/output" 2>&1; then
        tail -40 "$work/output"
        echo "FAILED: the SQL of $document"
        exit 1
    fi
    echo "$document: $count blocks"
    [ "$count" -gt 0 ]
}

value() { psql --no-psqlrc --tuples-only --no-align --command="$1"; }

expect() {
    local got
    got=$(value "$2")
    if [ "$got" != "$1" ]; then
        echo "FAILED: expected \"$1\", got \"$got\" from: $2"
        exit 1
    fi
}

cd "$PGK_SOURCE_DIR"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$PGK_TEST_COMMAND" migrate up

run_document docs/protocol.md
expect 'resigned' "SELECT end_reason FROM pgkeeper.leader_history ORDER BY epoch LIMIT 1"
# A program that keeps the rules of the stores writes as the library does, not as a person.
expect 0 "SELECT count(*) FROM pgkeeper.event WHERE by_hand"
expect FINISHED "SELECT status FROM pgkeeper.stat_results"

coproc leader { contend host-a:1; }
# Bash warns about a second coprocess: this one is a pipe made by hand.
mkfifo "$work/in" "$work/out"
contend host-b:2 <"$work/in" >"$work/out" &
exec 7>"$work/in" 8<"$work/out"
tell "${leader[0]}" "${leader[1]}" "$join_sql$lead_sql"
tell 8 7 "$join_sql"
expect 'leading' "SELECT state FROM pgkeeper.stat_leaders WHERE component = 'dispatcher'"

value "CREATE TABLE account (id int PRIMARY KEY, balance numeric); INSERT INTO account VALUES (1, 100)" >/dev/null
run_document docs/election.md \
    --set=leadership_id="$(value "SELECT id FROM pgkeeper.leadership WHERE group_name = 'dispatcher'")" \
    --set=epoch="$(value "SELECT epoch FROM pgkeeper.leadership WHERE group_name = 'dispatcher'")"
expect 90 "SELECT balance FROM account"

run_document docs/operations.md
run_document docs/dba.md
expect '' "SELECT to_regnamespace('pgkeeper')"
"$PGK_TEST_COMMAND" migrate up
psql --no-psqlrc --quiet --file=sql/roles.sql >"$work/output" 2>&1 || { cat "$work/output"; exit 1; }
run_document docs/security.md
expect '' "$(sed -n '/AS not_as_said/,/;/p' docs/security.md | tr -d ';')"
exec 7>&-
