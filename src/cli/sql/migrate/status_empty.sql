-- As status.sql for a schema without schema_history: all is pending. Same parameters and columns. Read only.
SELECT k.version, k.name, 'pending' AS state, NULL::text AS applied_at, NULL::text AS applied_by,
       NULL::integer AS duration_ms, NULL::text AS client_version
  FROM unnest($1::integer[], $2::text[], $3::text[]) AS k(version, name, sha256)
 ORDER BY 1
