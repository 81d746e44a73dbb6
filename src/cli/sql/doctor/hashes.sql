-- Hashes of the migrations that were applied. Read only.
SELECT s.version, s.name, s.sha256 FROM stat_schema s ORDER BY 1
