-- Connections left for roles that are no superusers. A master needs 3 and its high-availability.postgres.max-connections.
-- Read only.
WITH room AS (
    SELECT current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
           - coalesce(nullif(current_setting('reserved_connections', true), '')::integer, 0) AS usable,
           (SELECT count(*) FROM pg_stat_activity a WHERE a.backend_type = 'client backend'
             OR a.backend_type IS NULL AND a.datid IS NOT NULL) AS used)
SELECT CASE WHEN r.usable - r.used < 5 THEN 'fail' WHEN r.usable - r.used < greatest(15, r.usable / 10) THEN 'warn' ELSE 'ok' END AS state,
       format('%s of %s connections in use, %s free', r.used, r.usable, r.usable - r.used) AS evidence,
       CASE WHEN r.usable - r.used < greatest(15, r.usable / 10)
            THEN 'a master that cannot connect cannot lead: raise max_connections, or let clients go through a pooler' END AS cure
  FROM room r
