-- Takes the migration lock of a schema until the end of the transaction, or says false at once. Never waits: a
-- waiting transaction would hold back VACUUM and could deadlock with CREATE INDEX CONCURRENTLY.
-- Key: class = OID of the catalog pg_namespace (no table of ours can have it), object = hash of the schema's name.
-- $1 schema. Also keeps each DDL statement from queueing for long in front of other people's. Safe to repeat.
SELECT pg_try_advisory_xact_lock('pg_namespace'::regclass::oid::integer, hashtext($1::text)) AS locked,
       set_config('lock_timeout', '2s', true), set_config('statement_timeout', '0', true),
       set_config('client_min_messages', 'warning', true)
