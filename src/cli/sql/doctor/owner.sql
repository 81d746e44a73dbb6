-- The owner of the functions: it must be able to end sessions (kick, take-over from a stopped leader). Read only.
WITH owner AS (
    SELECT r.rolname, r.rolsuper, r.rolcanlogin, pg_has_role(r.oid, 'pg_signal_backend', 'USAGE') AS signals
      FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner
     WHERE p.pronamespace = current_schema()::regnamespace AND p.proname = 'kick')
SELECT CASE WHEN o.rolsuper OR NOT o.signals THEN 'warn' ELSE 'ok' END AS state,
       format('functions run as "%s"%s%s', o.rolname, CASE WHEN o.rolsuper THEN ', a superuser' ELSE '' END,
              CASE WHEN o.signals THEN ', which may end sessions' ELSE ', which may not end sessions of others' END) AS evidence,
       CASE WHEN o.rolsuper THEN 'let a role of its own own the schema: sql/roles.sql'
            WHEN NOT o.signals THEN format('GRANT pg_signal_backend TO %I: without it kick() and a take-over from a leader stopped in a transaction are refused',
                                           o.rolname) END AS cure
  FROM owner o
