-- Who holds the migration lock of a schema. $1 schema. Read only.
SELECT a.pid, coalesce(a.usename::text, '?') AS role_name, coalesce(nullif(a.application_name, ''), '?') AS application_name,
       coalesce(host(a.client_addr), 'local') AS client_address
  FROM pg_locks k JOIN pg_stat_activity a ON a.pid = k.pid
 WHERE k.locktype = 'advisory' AND k.granted AND k.objsubid = 2
   AND k.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
   AND k.classid = 'pg_namespace'::regclass
   AND k.objid = (hashtext($1::text)::bigint & 4294967295)::oid
   AND k.pid <> pg_backend_pid()
