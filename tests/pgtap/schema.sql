-- The schema as an interface: everything has a comment, nothing is open to PUBLIC, functions that act with their
-- owner's rights cannot be led astray by the caller's search_path.
BEGIN;
SELECT plan(9);

SELECT is_empty(
    $$SELECT c.relname FROM pg_class c WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relkind IN ('r', 'v')
       AND obj_description(c.oid, 'pg_class') IS NULL$$, 'every table and view has a comment');
SELECT is_empty(
    $$SELECT c.relname || '.' || a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
       WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relkind IN ('r', 'v') AND a.attnum > 0
         AND NOT a.attisdropped AND col_description(c.oid, a.attnum) IS NULL$$, 'every column has a comment');
SELECT is_empty(
    $$SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = quote_ident(current_schema())::regnamespace
       AND obj_description(p.oid, 'pg_proc') IS NULL$$, 'every function has a comment');
SELECT is_empty(
    $$SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = quote_ident(current_schema())::regnamespace
       AND p.prosecdef AND NOT EXISTS (SELECT FROM unnest(p.proconfig) c WHERE c LIKE 'search_path=%')$$,
    'every SECURITY DEFINER function pins its search_path');
SELECT is_empty(
    $$SELECT c.relname FROM pg_class c, aclexplode(c.relacl) a
       WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND a.grantee = 0$$, 'no table is open to PUBLIC');
SELECT is_empty(
    $$SELECT p.oid::regprocedure FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
       WHERE p.pronamespace = quote_ident(current_schema())::regnamespace AND a.grantee = 0$$, 'no function is open to PUBLIC');
SELECT is_empty(
    $$SELECT k.conname FROM pg_constraint k WHERE k.connamespace = quote_ident(current_schema())::regnamespace
       AND k.contype = 'c' AND NOT k.convalidated$$, 'every check is validated');
SELECT columns_are(current_schema(), 'leader',
    ARRAY['cluster_id', 'component', 'group_name', 'epoch', 'session_id', 'address', 'confirmed_at'],
    'leader has the columns that tools rely on');
SELECT is((SELECT count(*) FROM pg_event_trigger), 0::bigint, 'no event triggers are left in the database');

SELECT * FROM finish();
ROLLBACK;
