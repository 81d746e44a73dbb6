-- The latest events. $1 cluster id. Read only.
SELECT to_char(e.at AT TIME ZONE 'UTC', 'HH24:MI:SS') AS at, e.act, e.subject, e.role_name, CASE WHEN e.by_hand THEN 'by hand' END AS hand,
       e.application_name, e.detail
  FROM event e WHERE e.cluster_id IN ($1::text, '*')
 ORDER BY e.at DESC, e.id DESC LIMIT 40
