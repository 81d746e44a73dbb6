-- Migrations applied to the schema next to those that the command knows.
-- $1 versions, $2 names, $3 sha256s of the command's. Columns: version, name, state, applied_at, applied_by,
-- duration_ms, client_version. Read only.
SELECT coalesce(h.version, k.version) AS version, coalesce(h.name, k.name) AS name,
       CASE WHEN h.version IS NULL THEN 'pending'
            WHEN k.version IS NULL THEN 'unknown'
            WHEN h.sha256 <> k.sha256 THEN 'changed'
            ELSE 'applied' END AS state,
       to_char(h.applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS applied_at,
       h.applied_by, h.duration_ms, h.client_version
  FROM unnest($1::integer[], $2::text[], $3::text[]) AS k(version, name, sha256)
  FULL JOIN schema_history h ON h.version = k.version
 ORDER BY 1
