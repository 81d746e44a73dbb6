-- The server's clock, to be handed to record.sql, and may this role make things in the schema? Without that right
-- PostgreSQL passes over it and would make them in pg_temp. search_path must be that schema. $1 schema. Read only.
SELECT clock_timestamp(), has_schema_privilege(quote_ident($1::text)::regnamespace, 'CREATE')
