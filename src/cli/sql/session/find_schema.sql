-- Is pgkeeper's schema there, and may this role look into it?
-- $1 schema. One row: server_version, schema_exists, usable, installed. Read only.
SELECT current_setting('server_version_num')::integer AS server_version,
       n.oid IS NOT NULL AS schema_exists,
       coalesce(has_schema_privilege(n.oid, 'USAGE'), false) AS usable,
       c.oid IS NOT NULL AS installed
  FROM (VALUES (1)) one
  LEFT JOIN pg_namespace n ON n.nspname = $1::text
  LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = 'schema_history' AND c.relkind = 'r'
