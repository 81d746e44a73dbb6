-- How far a hand-over has come. $1 cluster id, $2 component or group, $3 the epoch that is to end. Read only.
-- ended: that epoch no longer leads; led: a later one does, and its grace is over; member_id: the latest leader.
SELECT l.group_name, epoch_text($3::bigint) AS ended_epoch, epoch_text(l.epoch) AS epoch_text, l.member_id,
       coalesce((SELECT c.member_name FROM stat_contenders c
                  WHERE c.cluster_id = l.cluster_id AND c.group_name = l.group_name AND c.member_id = l.member_id),
                l.member_id::text) AS member_name,
       l.epoch > $3::bigint OR l.released_at IS NOT NULL OR NOT is_held(l.id) AS ended,
       l.epoch > $3::bigint AND l.released_at IS NULL AND is_held(l.id) AND l.granted_at <= clock_timestamp() AS led
  FROM find_leadership($1::text, $2::text) AS l
