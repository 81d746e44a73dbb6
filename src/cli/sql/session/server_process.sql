-- The process that answers. Behind a pooler it is not the one that the connection says. Read only.
SELECT pg_backend_pid()
