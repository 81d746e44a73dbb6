-- Bounds every later statement of this session. $1 statement_timeout, milliseconds. Safe to repeat.
SELECT set_config('statement_timeout', $1::text, false), set_config('lock_timeout', $1::text, false),
       set_config('default_transaction_isolation', 'read committed', false)
