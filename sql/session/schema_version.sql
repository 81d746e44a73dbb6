-- Columns: version of the schema, oldest client schema version that it admits. Safe to retry.
SELECT m.schema_version, m.min_client_schema FROM schema_meta m
