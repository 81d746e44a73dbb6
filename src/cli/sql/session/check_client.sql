-- The server ends the statement of a client that is gone (not possible on every system). Safe to repeat.
SELECT set_config('client_connection_check_interval', '500', false)
