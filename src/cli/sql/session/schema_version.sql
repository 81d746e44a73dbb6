-- Version of the schema, and the oldest client schema that may use it. Read only.
SELECT schema_version, min_client_schema FROM schema_meta
