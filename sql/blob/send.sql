-- Before each transaction that sends a part of a blob: it may last as long as its bytes need; its pages are compressed
-- by lz4 where the server has it; and it need not be durable before the last one is (blob_publish()).
-- $1 search_path, $2 lock_timeout (ms). Safe to retry.
SELECT set_config('search_path', $1::text, true),
       set_config('synchronous_commit', 'off', true),
       set_config('statement_timeout', '0', true),
       set_config('lock_timeout', $2::text, true),
       blob_compress_fast()
