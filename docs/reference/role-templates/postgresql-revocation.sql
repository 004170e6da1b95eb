ALTER ROLE "{{name}}" NOLOGIN;
COMMIT;
SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE usename = '{{name}}';
SELECT pg_sleep(0.02);
SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE usename = '{{name}}' OR (usename IS NULL AND usesysid IS NOT NULL);
DROP ROLE IF EXISTS "{{name}}";
