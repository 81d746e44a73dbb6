-- Ends the session that leads a component or group. $1 cluster id, $2 component or group. False: nobody led.
SELECT kick($1::text, $2::text) AS kicked
