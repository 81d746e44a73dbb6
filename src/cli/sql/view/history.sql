-- The latest tenures, oldest first, times in UTC.
-- $1 cluster id or NULL for all, $2 component or group or NULL for all, $3 how many. Read only.
SELECT * FROM (
    SELECT h.epoch_text, h.group_name, h.member_name,
           to_char(h.began_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS began_at,
           CASE WHEN h.ended_at IS NOT NULL THEN (extract(epoch FROM h.ended_at - h.began_at) * 1000)::bigint END AS lasted_ms,
           h.end_reason, h.end_detail, h.began_after, h.cluster_id, h.take_over_mode,
           to_char(h.granted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS granted_at,
           to_char(h.ended_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS ended_at,
           h.epoch, h.session_id, h.member_id, h.leadership_id
      FROM (SELECT x.*, epoch_text(x.epoch) AS epoch_text FROM leader_history x) h
     WHERE ($1::text IS NULL OR h.cluster_id = $1::text)
       AND ($2::text IS NULL OR h.group_name = $2::text
            OR EXISTS (SELECT FROM stat_leaders l WHERE l.cluster_id = h.cluster_id AND l.component = $2::text
                                                    AND l.group_name = h.group_name))
     ORDER BY h.began_at DESC, h.leadership_id, h.epoch DESC
     LIMIT $3::integer) latest
 ORDER BY began_at, leadership_id, epoch
