-- Warms the session's plans and caches for take_over() and release(); leaves nothing behind. Safe to retry.
SELECT rehearse()
