-- Section 4: DDL and tuning.
ALTER TABLE events ADD COLUMN source text DEFAULT 'web';
CREATE INDEX ON events (tenant_id, created_at);
ALTER SYSTEM SET citus.max_adaptive_executor_pool_size = 16;
ALTER SYSTEM SET citus.executor_slow_start_interval = 10;
ALTER SYSTEM SET max_parallel_workers_per_gather = 4;
ALTER SYSTEM SET parallel_tuple_cost = 0.001;
ALTER SYSTEM SET shared_buffers = '4GB';
ALTER SYSTEM SET work_mem = '256MB';
SELECT pg_reload_conf();
