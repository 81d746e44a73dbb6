-- Who leads what: stat_leaders, times in UTC.
-- $1 cluster id or NULL for all, $2 component or NULL for all. Read only.
SELECT s.component, s.address, s.state, s.epoch_text, s.member_name, s.group_name,
       s.cluster_id, s.lock_held, s.epoch, s.session_id, s.member_id, s.take_over_mode,
       to_char(s.granted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS granted_at,
       to_char(s.confirmed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS confirmed_at,
       to_char(s.released_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS released_at,
       s.heartbeat_ms, s.lease_ms, s.session_timeout_ms, s.grace_ms, s.handover_to,
       to_char(s.handover_until AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS handover_until
  FROM stat_leaders s
 WHERE ($1::text IS NULL OR s.cluster_id = $1::text) AND ($2::text IS NULL OR s.component = $2::text)
 ORDER BY s.cluster_id, s.group_name, s.component
