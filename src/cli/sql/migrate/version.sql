-- Newest migration applied; 0 when there is none. The table schema_history exists. Read only.
SELECT coalesce(max(version), 0) FROM schema_history
