-- Connections left for roles that are no superusers: of the server, and of the role or database that is next to its CONNECTION
-- LIMIT, among this role and those with sessions here. A master needs 3 and its high-availability.postgres.max-connections.
-- Read only.
WITH client AS (
    SELECT a.usesysid, a.datid FROM pg_stat_activity a WHERE a.backend_type = 'client backend' OR a.backend_type IS NULL AND a.datid IS NOT NULL),
room AS (
    SELECT current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
           - coalesce(nullif(current_setting('reserved_connections', true), '')::integer, 0) AS usable,
           (SELECT count(*) FROM client) AS used),
place AS (
    SELECT format('role "%s"', r.rolname) AS name, r.rolconnlimit AS allowed, (SELECT count(*) FROM client c WHERE c.usesysid = r.oid) AS used
      FROM pg_roles r, pg_database d
     WHERE d.datname = current_database() AND r.rolconnlimit >= 0 AND NOT r.rolsuper
       AND (r.rolname = current_user OR EXISTS (SELECT FROM client c WHERE c.usesysid = r.oid AND c.datid = d.oid))
    UNION ALL
    SELECT format('database "%s"', d.datname), d.datconnlimit, (SELECT count(*) FROM client c WHERE c.datid = d.oid)
      FROM pg_database d WHERE d.datname = current_database() AND d.datconnlimit >= 0),
tightest AS (SELECT p.*, p.allowed - p.used AS free FROM place p ORDER BY p.allowed - p.used, p.name LIMIT 1),
judged AS (
    SELECT r.*, t.name, t.allowed, t.used AS place_used,
           CASE WHEN r.usable - r.used < 5 THEN 2 WHEN r.usable - r.used < greatest(15, r.usable / 10) THEN 1 ELSE 0 END AS server_level,
           CASE WHEN t.free < 1 THEN 2 WHEN t.free < 3 THEN 1 ELSE 0 END AS place_level
      FROM room r LEFT JOIN tightest t ON true)
SELECT ('{ok,warn,fail}'::text[])[1 + greatest(j.server_level, j.place_level)] AS state,
       format('%s of %s connections in use, %s free', j.used, j.usable, j.usable - j.used)
           || CASE WHEN j.name IS NULL THEN '' ELSE format('; %s has %s of its %s', j.name, j.place_used, j.allowed) END AS evidence,
       CASE WHEN j.place_level >= greatest(j.server_level, 1) THEN format('raise the CONNECTION LIMIT of %s: who cannot connect cannot lead', j.name)
            WHEN j.server_level > 0
            THEN 'a master that cannot connect cannot lead: raise max_connections, or let clients go through a pooler' END AS cure
  FROM judged j
