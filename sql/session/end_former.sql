-- Ends a session of this process that broke while a write was under way, so that the write cannot come late.
-- $1 its server process, $2 its application_name (a process number may be somebody else's by now), $3 longest wait in ms.
-- Column: is it gone? Safe to retry.
SELECT coalesce(bool_and(pg_terminate_backend(a.pid, $3::bigint)), true)
  FROM pg_stat_activity a
 WHERE a.pid = $1::integer AND a.application_name = $2::text AND a.pid <> pg_backend_pid()
