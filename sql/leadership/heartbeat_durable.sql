-- Renews the lease with a commit that waits for synchronous standbys. Column: backend pid. Safe to retry.
SELECT pg_backend_pid() FROM pg_logical_emit_message(true, 'pgkeeper', '')
