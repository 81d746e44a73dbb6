-- Large objects of the blob store that no blob points to. Times in UTC. Read only.
SELECT o.loid, nullif(o.size, -1) AS bytes, pg_size_pretty(nullif(o.size, -1)) AS size_text,
       CASE WHEN o.unfinished THEN 'unfinished' ELSE 'lost' END AS kind,
       to_char(o.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS since
  FROM blob_orphans() o
 ORDER BY o.loid
