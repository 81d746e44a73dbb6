-- May this role make a scratch schema, and read all of pgkeeper's? Read only.
SELECT has_database_privilege(current_database(), 'CREATE') AND pg_has_role(n.nspowner, 'USAGE')
  FROM pg_namespace n WHERE n.oid = current_schema()::regnamespace
