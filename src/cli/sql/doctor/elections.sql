-- Pauses of elections in this schema. Read only.
SELECT CASE WHEN bool_or(p.leaderless > 0) THEN 'fail' WHEN count(*) > 0 THEN 'warn' ELSE 'ok' END AS state,
       coalesce(string_agg(format('"%s" paused by %s%s, %s of %s groups without a leader', p.cluster_id, p.paused_by,
                                  coalesce(' (' || p.reason || ')', ''), p.leaderless, p.groups), '; ' ORDER BY p.cluster_id),
                'paused nowhere') AS evidence,
       CASE WHEN count(*) > 0 THEN format('when the reason is gone: pgkeeper --cluster %s resume', quote_literal(min(p.cluster_id))) END AS cure
  FROM stat_pauses p
