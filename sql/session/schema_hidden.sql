-- $1 schema. Column: true when it is there and this role may not look into it. Safe to retry.
SELECT EXISTS (SELECT FROM pg_namespace n WHERE n.nspname = $1::text AND NOT has_schema_privilege(n.oid, 'USAGE'))
