-- Tables of a schema that hold what migrations do not know how to make again. $1 schema. Read only.
SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = $1::text AND c.relkind IN ('r', 'p') AND c.relname NOT IN ('schema_meta', 'schema_history')
 ORDER BY c.relname COLLATE "C"
