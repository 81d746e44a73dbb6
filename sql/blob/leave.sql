-- Gives an object up that is being written. $1 id of begin.sql. Column: was it there? Safe to retry.
SELECT blob_leave($1::uuid)
