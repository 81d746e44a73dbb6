-- The state of one cluster in one row, judged: level 0 ok, 1 warning, 2 critical, and the words for it.
-- $1 cluster id, $2 standbys that a led group should have. Read only.
-- A group counts (groups) while somebody contends for it, leads it, or has lost it; not one that was given up cleanly,
-- nor that of a job of which there is no graph any more. Of many names five are said.
WITH known AS (
    SELECT s.group_name, bool_or(s.lock_held AND s.released_at IS NULL) AS held, bool_or(s.state = 'in grace') AS in_grace,
           bool_or(s.state = 'lost') AS lost, min(s.member_name) AS member_name, min(s.epoch_text) AS epoch_text
      FROM stat_leaders s WHERE s.cluster_id = $1::text GROUP BY s.group_name),
contended AS (
    SELECT c.group_name, count(*) AS alive, count(*) FILTER (WHERE c.state = 'standby') AS standbys
      FROM stat_contenders c WHERE c.cluster_id = $1::text AND c.alive GROUP BY c.group_name),
judged AS (
    SELECT k.*, coalesce(c.standbys, 0) AS standbys, k.held AND NOT k.in_grace AS led
      -- Every contended group is known; a full join is never a nested loop of thousands by thousands.
      FROM known k FULL JOIN contended c USING (group_name)
     WHERE k.held OR c.alive > 0
        OR k.lost AND CASE WHEN k.group_name ~ '^job-[0-9a-f]{32}$'
                           THEN EXISTS (SELECT FROM stat_jobs j
                                         WHERE j.cluster_id = $1::text AND j.job_id = substr(k.group_name, 5)::uuid
                                           AND j.graph_bytes IS NOT NULL)
                           ELSE true END),
total AS (
    SELECT count(*) AS groups, count(*) FILTER (WHERE j.led) AS led, count(*) FILTER (WHERE j.in_grace) AS in_grace,
           count(*) FILTER (WHERE NOT j.held) AS leaderless,
           array_agg('"' || j.group_name || '"' ORDER BY j.group_name) FILTER (WHERE NOT j.held) AS leaderless_names,
           array_agg('"' || j.group_name || '"' ORDER BY j.group_name) FILTER (WHERE j.in_grace) AS grace_names,
           min(j.standbys) FILTER (WHERE j.led) AS fewest_standbys,
           array_agg('"' || j.group_name || '"' ORDER BY j.group_name)
               FILTER (WHERE j.led AND j.standbys < $2::integer) AS short_names,
           string_agg(format('group "%s" led by "%s" (epoch %s)', j.group_name, j.member_name, j.epoch_text), ', '
                      ORDER BY j.group_name) AS leaders
      FROM judged j),
server AS (
    SELECT split_part(current_setting('server_version'), ' ', 1) AS version, pg_is_in_recovery() AS in_recovery,
           -- The server's or the database's: of a role that may only read it says nothing about the others.
           (SELECT s.setting = 'on' AND s.source NOT IN ('user', 'database user', 'session', 'client')
              FROM pg_settings s WHERE s.name = 'default_transaction_read_only') AS read_only, pg_postmaster_start_time() AS started_at),
verdict AS (
    SELECT CASE WHEN v.in_recovery OR v.read_only OR t.groups = 0 OR t.leaderless > 0 THEN 2
                WHEN p.cluster_id IS NOT NULL OR t.in_grace > 0 OR t.short_names IS NOT NULL THEN 1
                ELSE 0 END AS level,
           concat_ws('; ',
               CASE WHEN v.in_recovery THEN 'this server is in recovery: locks and leaders are those of its primary' END,
               CASE WHEN v.read_only THEN 'the database is read-only: nobody can take over or write' END,
               CASE WHEN t.groups > 0 THEN NULL
                    WHEN NOT EXISTS (SELECT FROM known) THEN format('nobody has ever contended in cluster "%s"', $1::text)
                    ELSE format('nobody contends in cluster "%s"', $1::text) END,
               'no leader of group ' || array_to_string(t.leaderless_names[1:5], ', ') || CASE WHEN cardinality(t.leaderless_names) > 5
                    THEN format(' and %s more', cardinality(t.leaderless_names) - 5) ELSE '' END,
               CASE WHEN p.cluster_id IS NOT NULL
                    THEN format('elections paused since %s by %s', to_char(p.paused_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                                p.paused_by) || coalesce(' (' || p.reason || ')', '') END,
               'leader in its grace of group ' || array_to_string(t.grace_names[1:5], ', ') || CASE WHEN cardinality(t.grace_names) > 5
                    THEN format(' and %s more', cardinality(t.grace_names) - 5) ELSE '' END,
               'too few standbys of group ' || array_to_string(t.short_names[1:5], ', ') || CASE WHEN cardinality(t.short_names) > 5
                    THEN format(' and %s more', cardinality(t.short_names) - 5) ELSE '' END,
               CASE WHEN t.leaderless = 0 AND t.groups > 5 THEN format('%s groups, all led', t.groups)
                    WHEN t.leaderless = 0 THEN t.leaders END,
               CASE WHEN t.leaderless = 0 AND t.fewest_standbys > 0 THEN format('%s standby%s', t.fewest_standbys,
                                                           CASE WHEN t.fewest_standbys > 1 THEN 's' ELSE '' END) END) AS words
      FROM total t CROSS JOIN server v LEFT JOIN stat_pauses p ON p.cluster_id = $1::text)
SELECT $1::text AS cluster_id, d.level, d.words, t.groups, t.led, t.in_grace, t.leaderless,
       (SELECT count(DISTINCT c.member_id) FROM stat_contenders c WHERE c.cluster_id = $1::text AND c.alive) AS members,
       coalesce(t.fewest_standbys, 0) AS fewest_standbys,
       to_char(p.paused_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS paused_at, p.paused_by, p.reason AS pause_reason,
       coalesce(s.graphs, 0) AS graphs, coalesce(s.graph_bytes, 0) AS graph_bytes, coalesce(s.running, 0) AS running,
       coalesce(s.done, 0) AS done, coalesce(s.dirty_results, 0) AS dirty_results, coalesce(s.clean_results, 0) AS clean_results,
       coalesce(s.checkpoints, 0) AS checkpoints, coalesce(s.discarding, 0) AS discarding, coalesce(s.retained, 0) AS retained,
       coalesce(s.metadata_bytes, 0) AS metadata_bytes, coalesce(s.blobs, 0) AS blobs, coalesce(s.blob_bytes, 0) AS blob_bytes,
       v.version AS server_version, v.in_recovery, v.read_only,
       to_char(v.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS server_started_at, m.schema_version
  FROM total t CROSS JOIN server v CROSS JOIN verdict d CROSS JOIN schema_meta m
  LEFT JOIN stat_pauses p ON p.cluster_id = $1::text
  LEFT JOIN stat_summary s ON s.cluster_id = $1::text
