-- The pause of a cluster, or of all (NULL), times in UTC. $1 cluster id. Read only.
SELECT p.cluster_id, to_char(p.paused_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS paused_at,
       p.paused_by, p.groups, p.leaderless, p.reason
  FROM stat_pauses p WHERE $1::text IS NULL OR p.cluster_id = $1::text ORDER BY 1
