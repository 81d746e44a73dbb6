-- Groups of a cluster that are led right now, in words; NULL: none. $1 cluster id. Read only.
SELECT string_agg(format('"%s"', l.group_name), ', ' ORDER BY l.group_name)
  FROM leadership l
 WHERE l.cluster_id = $1::text AND l.session_id IS NOT NULL AND l.released_at IS NULL AND is_held(l.id)
