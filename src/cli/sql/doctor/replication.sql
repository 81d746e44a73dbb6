-- Synchronous replication. Details of standbys need pg_monitor. Read only.
WITH standby AS (
    SELECT count(*) FILTER (WHERE r.sync_state IN ('sync', 'quorum')) AS synchronous, count(*) AS all_of,
           pg_has_role('pg_read_all_stats', 'USAGE') AS visible FROM pg_stat_replication r)
SELECT CASE WHEN current_setting('synchronous_standby_names') <> '' AND s.visible AND s.synchronous = 0 THEN 'fail'
            WHEN current_setting('synchronous_standby_names') <> '' AND NOT s.visible THEN 'warn'
            WHEN current_setting('synchronous_standby_names') = '' AND s.all_of > 0 THEN 'warn' ELSE 'ok' END AS state,
       CASE WHEN current_setting('synchronous_standby_names') = '' THEN format('asynchronous, %s standbys connected', s.all_of)
            ELSE format('synchronous_standby_names = ''%s'', %s', current_setting('synchronous_standby_names'),
                        CASE WHEN s.visible THEN format('%s of %s standbys synchronous', s.synchronous, s.all_of)
                             ELSE 'its standbys are not visible to this role' END) END AS evidence,
       CASE WHEN current_setting('synchronous_standby_names') <> '' AND NOT s.visible THEN format('GRANT pg_read_all_stats TO %I', current_user)
            WHEN current_setting('synchronous_standby_names') <> '' AND s.synchronous = 0
            THEN 'every commit waits: bring a standby back, or take it out of synchronous_standby_names'
            WHEN current_setting('synchronous_standby_names') = '' AND s.all_of > 0
            THEN 'a fail-over may lose acknowledged writes: set synchronous_standby_names, and durable-heartbeat in the masters' END AS cure
  FROM standby s
