-- Writes the history row of a migration, in its transaction. Not to be repeated.
-- $1 version, $2 name, $3 sha256 of the file, $4 when it began, $5 version of the command.
INSERT INTO schema_history (version, name, sha256, duration_ms, client_version)
VALUES ($1::integer, $2::text, $3::text,
        (extract(epoch FROM clock_timestamp() - $4::timestamptz) * 1000)::integer, $5::text)
RETURNING duration_ms
