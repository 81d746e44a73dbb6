-- Version and durability of the server. Columns of every check: state (ok, warn, fail), evidence, cure. Read only.
SELECT CASE WHEN current_setting('server_version_num')::integer < 140000 THEN 'fail'
            WHEN NOT current_setting('fsync')::boolean OR NOT current_setting('full_page_writes')::boolean THEN 'fail'
            WHEN NOT current_setting('autovacuum')::boolean OR getdatabaseencoding() <> 'UTF8' THEN 'warn'
            ELSE 'ok' END AS state,
       format('PostgreSQL %s, fsync %s, full_page_writes %s, autovacuum %s, encoding %s', current_setting('server_version'),
              current_setting('fsync'), current_setting('full_page_writes'), current_setting('autovacuum'),
              getdatabaseencoding()) AS evidence,
       CASE WHEN current_setting('server_version_num')::integer < 140000 THEN 'PostgreSQL 14 or newer is needed'
            WHEN NOT current_setting('fsync')::boolean OR NOT current_setting('full_page_writes')::boolean
            THEN 'turn fsync and full_page_writes on: after a crash an epoch may be given out twice'
            WHEN NOT current_setting('autovacuum')::boolean THEN 'turn autovacuum on: the stores'' tables turn over'
            WHEN getdatabaseencoding() <> 'UTF8' THEN 'names and addresses are UTF-8: use a database of that encoding' END AS cure
