#!/usr/bin/env bash
# Times the views for people with 10,000 jobs; started by run.sh on a server of its own. Columns: the work in the server
# alone; with the rows sent to a client that throws them away; and the floor, the same rows read from one table that holds a
# copy of them, which is what it takes to make and send so many values.
#   bench/views.sh ROUNDS
set -euo pipefail
rounds=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export PGOPTIONS='-c search_path=pgkeeper'

# The session that loads them leads, and stays until the end.
coproc leader { psql -XqAt -v ON_ERROR_STOP=1 2>&1; }
# shellcheck disable=SC2154 # leader, leader_PID: coproc sets them
exec {out}<&"${leader[0]}" {in}>&"${leader[1]}"
printf 'BEGIN;\n\\i %s/../tests/lib/ten_thousand_jobs.sql\nCOMMIT;\nVACUUM ANALYZE;\n\\echo ready\n' "$here" >&"$in"
while read -r answer <&"$out"; do
    [ "$answer" != ready ] || break
done
[ "$answer" = ready ]

# median LABEL SETTING STATEMENT: of the times, milliseconds, that follow the label in what psql prints.
median() {
    { printf '%s\n' "$2"; for ((i = 0; i < rounds; i++)); do printf '%s;\n' "$3"; done; } >"$script"
    psql -XqAt -v ON_ERROR_STOP=1 -f "$script" | sed -n "s/^$1: \([0-9.]*\) ms.*/\1/p" | sort -n | sed -n "$(((rounds + 1) / 2))p"
}
work() { median 'Execution Time' '' "EXPLAIN (ANALYZE, TIMING OFF) $1"; }
sent() { median Time '\timing on \\ \o /dev/null' "$1"; }

script=$(mktemp)
trap 'rm -f "$script"' EXIT
printf '\n| ms | rows | work in the server | with sending | the same rows of one table |\n|---|---|---|---|---|\n'
report() { # report WHAT QUERY
    psql -Xq -v ON_ERROR_STOP=1 -c "CREATE TABLE public.copy AS $2" -c 'VACUUM ANALYZE public.copy'
    printf '| %s | %s | %.1f | %.1f | %.1f |\n' "$1" "$(psql -XqAtc 'SELECT count(*) FROM public.copy')" \
        "$(work "$2")" "$(sent "$2")" "$(sent 'SELECT * FROM public.copy')"
    psql -Xqc 'DROP TABLE public.copy'
}
for view in summary jobs results checkpoints blobs leaders contenders pauses; do
    report "stat_$view" "SELECT * FROM stat_$view"
done
report 'stat_jobs, the cluster' "SELECT * FROM stat_jobs WHERE cluster_id = 'c1'"
report 'stat_jobs, fifty' 'SELECT * FROM stat_jobs LIMIT 50'
report 'stat_jobs, one job' "SELECT * FROM stat_jobs WHERE cluster_id = 'c1' AND job_id = md5('77')::uuid"
report 'stat_checkpoints, one job' "SELECT * FROM stat_checkpoints WHERE cluster_id = 'c1' AND job_id = md5('77')::uuid"
report 'stat_leaders, one group' "SELECT * FROM stat_leaders WHERE cluster_id = 'c1' AND group_name = 'master'"
printf '\\q\n' >&"$in"
