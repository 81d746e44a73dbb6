-- May this role make a scratch schema here, and read all of pgkeeper's? Read only.
SELECT NOT current_setting('transaction_read_only')::boolean
   AND has_database_privilege(current_database(), 'CREATE') AND pg_has_role(n.nspowner, 'USAGE')
  FROM pg_namespace n WHERE n.oid = current_schema()::regnamespace
