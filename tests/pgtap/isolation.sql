-- The fence is sound in READ COMMITTED only, and refuses to be asked elsewhere.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT plan(2);
SELECT throws_ok('SELECT fence(1, 1)', '0A000', NULL, 'REPEATABLE READ is refused');
SELECT throws_matching('SELECT fence(1, 1)', 'READ COMMITTED', 'and told why');
SELECT * FROM finish();
ROLLBACK;
