-- The server's clock, in milliseconds since 1970. Read only.
SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint
