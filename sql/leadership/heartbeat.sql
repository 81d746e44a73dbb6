-- Renews the lease: the server's idle timer starts again. Column: backend pid. No I/O. Safe to retry.
SELECT pg_backend_pid()
