-- What purge() would delete. $1 cluster id, $2 age in ms, $3 results, history or events. Read only.
WITH old (at) AS (
    SELECT r.clean_at FROM stat_results r
     WHERE $3::text = 'results' AND r.cluster_id = $1::text AND r.state = 'clean'
       AND r.clean_at <= clock_timestamp() - $2::bigint * interval '1 ms'
    UNION ALL
    SELECT h.ended_at FROM leader_history h
     WHERE $3::text = 'history' AND h.cluster_id = $1::text AND h.ended_at <= clock_timestamp() - $2::bigint * interval '1 ms'
       AND EXISTS (SELECT FROM leader_history n WHERE n.leadership_id = h.leadership_id AND n.epoch > h.epoch)
    UNION ALL
    SELECT e.at FROM event e
     WHERE $3::text = 'events' AND e.cluster_id IN ($1::text, '*') AND e.at <= clock_timestamp() - $2::bigint * interval '1 ms')
SELECT count(*) AS rows,
       to_char(min(o.at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS oldest,
       to_char(max(o.at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS newest
  FROM old o
