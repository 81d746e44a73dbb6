-- Hashes of the migrations applied: version, file name without .up.sql, sha256. Read only.
SELECT version, to_char(version, 'FM0000') || '_' || name, sha256 FROM schema_history ORDER BY version
