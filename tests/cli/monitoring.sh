#!/usr/bin/env bash
# contrib/monitoring: every query, of sql_exporter's collector and of pgwatch, runs as the monitor role next to a leader, a
# standby and stored jobs, gives the columns that its file names, and true figures. Alerts and dashboard name metrics of the
# collector only, with labels that these have; the dashboard is JSON; metrics that `pgkeeper metrics` prints are called the
# same there.
. "$(dirname "$0")/lib/common.sh"
dir=$PGK_SOURCE_DIR/contrib/monitoring
collector=$dir/sql_exporter.collector.yml

expect 0 migrate up
psql --no-psqlrc --quiet --file="$PGK_SOURCE_DIR/sql/roles.sql" >"$work/out" 2>"$work/err" || failed roles.sql
value "CREATE ROLE exporter LOGIN IN ROLE pgkeeper_monitor"
contend first dispatcher --address first:1
expect 0 leader dispatcher --wait 20s
contend second dispatcher --address second:1
standby() { [ "$(value "SELECT count(*) FROM pgkeeper.stat_contenders WHERE state = 'standby'")" = 1 ]; }
until_true 20 standby
for rows in 0002 0003; do
    PGOPTIONS='-c search_path=pgkeeper,pg_temp' psql --no-psqlrc --quiet --file="$PGK_SOURCE_DIR/tests/cli/rows/$rows.sql" >/dev/null
done
value "SELECT pgkeeper.enroll(0, '/held', 'master'), pgkeeper.pause_elections('/held')" >/dev/null

# sql_exporter: one metric per line, its labels and its query, from the collector's fixed layout.
awk 'function flush() { if (query != "") print name "\t" labels "\t" query; query = ""; labels = "-"; inside = 0 }
     BEGIN { labels = "-" }
     /^  - metric_name: / { flush(); name = $3 }
     /^    key_labels: / { sub(/^[^[]*\[/, ""); sub(/\].*/, ""); gsub(/ /, ""); labels = $0 }
     inside && /^      / { query = query " " $0 }
     /^    query: \|$/ { inside = 1 }
     END { flush() }' "$collector" >"$work/metrics"
[ "$(wc -l <"$work/metrics")" = "$(grep -c 'metric_name:' "$collector")" ] || failed "not all metrics were read: $(cut -f1 "$work/metrics")"
while IFS=$'\t' read -r name labels query; do
    PGUSER=exporter psql --no-psqlrc --csv --set=ON_ERROR_STOP=1 --command="$query" >"$work/out" 2>"$work/err" || failed "query of $name"
    columns=$(head -n 1 "$work/out")
    want=value
    [ "$labels" = - ] || want=$labels,value
    [ "$columns" = "$want" ] || failed "$name has columns $columns, not $want"
    [ "$(wc -l <"$work/out")" -gt 1 ] || failed "$name shows nothing"
    sed -n "2,\$s/^/$name /p" "$work/out" >>"$work/figures"
done <"$work/metrics"
figure() { grep -qxF "$1" "$work/figures" || failed "no \"$1\" in: $(cat "$work/figures")"; }
figure 'pgkeeper_group_led /default,master,1'
figure 'pgkeeper_standbys /default,master,1'
figure 'pgkeeper_take_overs_total /default,master,1'
figure 'pgkeeper_leader_lease_seconds /default,master,1'
figure 'pgkeeper_job_graphs /default,1'
figure 'pgkeeper_job_graph_size_bytes /default,10000'
figure 'pgkeeper_job_results /default,dirty,1'
figure 'pgkeeper_checkpoints /default,discarding,1'
figure 'pgkeeper_jobs /default,running,1'
figure 'pgkeeper_blobs /default,2'
figure 'pgkeeper_blob_size_bytes /default,4'
figure 'pgkeeper_elections_paused /default,0'
figure 'pgkeeper_elections_paused /held,1'
figure 'pgkeeper_group_lost /default,master,0'
figure 'pgkeeper_server_read_only 0'
figure 'pgkeeper_server_in_recovery 0'

# pgwatch.
awk 'function flush() { if (query != "") print name "\t" query; query = ""; inside = 0 }
     /^(  )?[a-z_]*:$/ { flush(); name = substr($1, 1, length($1) - 1) }
     inside && /^        / { query = query " " $0 }
     /^      14: \|$/ { inside = 1 }
     END { flush() }' "$dir/pgwatch.yaml" >"$work/pgwatch"
[ "$(wc -l <"$work/pgwatch")" = "$(grep -c '14: |' "$dir/pgwatch.yaml")" ] || failed "not all of pgwatch.yaml was read"
while IFS=$'\t' read -r name query; do
    PGUSER=exporter psql --no-psqlrc --csv --set=ON_ERROR_STOP=1 --command="$query" >"$work/out" 2>"$work/err" || failed "query of $name"
    [ "$(wc -l <"$work/out")" -gt 1 ] || failed "$name shows nothing"
    grep -qE '^epoch_ns,tag_cluster,' "$work/out" || failed "$name: columns $(head -n 1 "$work/out")"
    grep -q "^      $name: [0-9]" "$dir/pgwatch.yaml" || failed "$name is in no preset"
done <"$work/pgwatch"

# Alerts, dashboard and README.
metrics=$(cut -f1 "$work/metrics" | sort)
same t "SELECT \$j\$$(cat "$dir/grafana.json")\$j\$::jsonb ? 'panels'"
for file in prometheus.rules.yml grafana.json; do
    used=$(grep -E 'expr|label_values' "$dir/$file" | grep -oE 'pgkeeper_[a-z_]+' | sort -u)
    [ -n "$used" ] || failed "$file names no metric"
    unknown=$(comm -23 <(echo "$used") <(echo "$metrics"))
    [ -z "$unknown" ] || failed "$file names $unknown, which nobody exports"
done
alerts=$(grep -oE 'alert: [A-Za-z]+' "$dir/prometheus.rules.yml" | cut -c8- | sort)
[ "$alerts" = "$(grep -oE '^. `Pgkeeper[A-Za-z]+' "$dir/README.md" | cut -c4- | sort)" ] || failed "other alerts in README.md"
while read -r page; do
    [ -e "$PGK_SOURCE_DIR/${page%%#*}" ] || failed "no page $page"
    title=${page#*#}
    grep -qi "^##* *${title//-/[ -]}\$" <(tr -d ',:' <"$PGK_SOURCE_DIR/${page%%#*}") || failed "no heading $page"
done < <(sed -n "s/^ *runbook: '\(.*\)'/\1/p" "$dir/prometheus.rules.yml")
if command -v promtool >/dev/null; then
    promtool check rules "$dir/prometheus.rules.yml" >"$work/out" 2>&1 || failed promtool
fi
# Those that the command prints too.
if pgkeeper help metrics >"$work/out" 2>&1; then
    expect 0 metrics
    while read -r name; do
        grep -q "^${name}[ {]" "$work/out" || failed "$name is called otherwise by pgkeeper metrics"
    done <<<"$metrics"
    # And the other way round, but for what is the command's own, or more than the monitor role sees.
    printed=$(grep -oE '^pgkeeper_[a-z_]+' "$work/out" | grep -vE '^pgkeeper_(up|build_info|leader_silence_seconds)$' | sort -u)
    [ -z "$(comm -23 <(echo "$printed") <(echo "$metrics"))" ] || failed "not in the collector: $(comm -23 <(echo "$printed") <(echo "$metrics"))"
fi

# Dead leaders are not led.
kill -KILL "${children[@]}"
nobody() { [ "$(value "SELECT count(*) FROM pgkeeper.stat_leaders WHERE lock_held")" = 0 ]; }
until_true 20 nobody
lost=$(sed -n 's/^pgkeeper_group_lost\t[^\t]*\t//p' "$work/metrics")
same 1 "SELECT value FROM ($lost) q WHERE \"group\" = 'master' AND cluster = '/default'"
query=$(sed -n 's/^pgkeeper_group_led\t[^\t]*\t//p' "$work/metrics")
same 0 "SELECT value FROM ($query) q WHERE \"group\" = 'master' AND cluster = '/default'"
