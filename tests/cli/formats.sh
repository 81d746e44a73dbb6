#!/usr/bin/env bash
# table, json, ndjson, csv: right also for names full of quotes, control characters and wide letters.
. "$(dirname "$0")/lib/common.sh"
pgkeeper migrate up 2>/dev/null

for verb in leaders contenders history; do
    expect 0 $verb --format json
    stdout_is "[]"
    expect 0 $verb --format ndjson
    stdout_is ""
    expect 0 $verb --format csv
    [ "$(wc -l <"$work/out")" = 1 ] || failed "no header, or more than that"
    expect 2 $verb --format xml
    is_usage_error
done

# Rows by hand, with all that needs escaping.
nasty=$'q"b\\s\ttab\nline\x01é漢,end'
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --set=nasty="$nasty" >/dev/null <<'SQL'
INSERT INTO pgkeeper.leadership (cluster_id, group_name, epoch) VALUES ('/default', :'nasty', (3::bigint << 40) + 7);
INSERT INTO pgkeeper.leader (cluster_id, component, group_name, epoch, session_id, address, confirmed_at)
VALUES ('/default', 'web', :'nasty', 0, '00000000-0000-4000-8000-000000000001', :'nasty', '2026-01-02 03:04:05.678+02');
SQL
expect 0 leaders --format json
json_is "$nasty" '$[0].address'
json_is "$nasty" '$[0].group_name'
json_is 3298534883335 '$[0].epoch'
json_is number '$[0].epoch.type()'
json_is boolean '$[0].lock_held.type()'
json_is null '$[0].released_at.type()'
json_is 3.7 '$[0].epoch_text'
json_is 2026-01-02T01:04:05.678Z '$[0].confirmed_at'
expect 0 leaders --format ndjson
[ "$(wc -l <"$work/out")" = 1 ] || failed "ndjson is not one line per row"
json_is "$nasty" '$.address'

# CSV comes back as it went in, by PostgreSQL's own reader.
expect 0 leaders --format csv
{ echo "CREATE TEMP TABLE t ($(head -1 "$work/out" | sed 's/,/ text, /g') text);"
  echo "COPY t FROM STDIN WITH (FORMAT csv, HEADER);"
  cat "$work/out"; echo '\.'
  echo "SELECT octet_length(address), released_at IS NULL FROM t;"; } >"$work/copy.sql"
[ "$(psql --no-psqlrc --quiet --tuples-only --no-align --file="$work/copy.sql")" = "$(printf %s "$nasty" | wc -c)|t" ] ||
    failed "CSV does not read back"

# A table never writes control characters, and its columns line up by display width.
expect 0 leaders
[ "$(wc -l <"$work/out")" = 2 ] || failed "a stored newline broke the table"
LC_ALL=C grep -q $'[\x01\t]' "$work/out" && failed "control characters on a terminal"
stdout_has 'é漢'
value "UPDATE pgkeeper.leader SET address = '漢字é'; " >/dev/null
value "INSERT INTO pgkeeper.leader (cluster_id, component, group_name, epoch, session_id, address, confirmed_at)
       SELECT cluster_id, 'zzz', group_name, epoch, session_id, 'abcde', confirmed_at FROM pgkeeper.leader" >/dev/null
expect 0 leaders
LC_ALL=C.UTF-8 awk '{ gsub(/漢字é/, "44441") } NR > 1 { print index($0, "lost") + index($0, "never led") }' "$work/out" |
    sort -u | wc -l | grep -qx 1 || failed "columns do not line up"
grep -q ' $' "$work/out" && failed "blanks at line ends"

# The history of a cluster with ordinary names fits a terminal, whatever ended a tenure.
value "INSERT INTO pgkeeper.leader_history (leadership_id, epoch, cluster_id, group_name, session_id, member_id,
           member_name, take_over_mode, began_at, granted_at, began_after, ended_at, end_reason)
       SELECT 1, (3::bigint << 40) + n, '/default', 'master', gen_random_uuid(), 1, 'master-' || n % 3, 'exclusive',
              now(), now(), 'loss', now() + interval '1 day', reason
         FROM unnest(ARRAY['switchover', 'lease_expired', 'server_restarted']) WITH ORDINALITY x(reason, n)" >/dev/null
expect 0 history
[ "$(wc -l <"$work/out")" = 4 ] || failed "not three tenures and a heading"
awk 'length > 80 { exit 1 }' "$work/out" || failed "wider than 80 columns"

# A reader that is gone is an error, not success.
if [ -w /dev/full ]; then
    code=0
    pgkeeper leaders >/dev/full 2>/dev/null || code=$?
    [ "$code" = 1 ] || failed "exit code $code with a full disk"
fi
echo "formats: all as expected"
