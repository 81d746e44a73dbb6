-- The server's clock, to be handed to record.sql. Read only.
SELECT clock_timestamp()
