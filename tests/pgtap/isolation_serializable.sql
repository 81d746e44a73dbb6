-- As isolation.sql, one level higher.
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT plan(1);
SELECT throws_ok('SELECT fence(1, 1)', '0A000', NULL, 'SERIALIZABLE is refused');
SELECT * FROM finish();
ROLLBACK;
