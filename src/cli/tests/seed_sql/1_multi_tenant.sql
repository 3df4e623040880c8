-- Section 1: a multi-tenant application.
CREATE TABLE events (
    tenant_id INT,
    event_id BIGSERIAL,
    event_type VARCHAR(50),
    event_data JSONB,
    created_at TIMESTAMP DEFAULT NOW(),
    PRIMARY KEY (tenant_id, event_id)
);
SELECT create_distributed_table('events', 'tenant_id');
INSERT INTO events (tenant_id, event_type, event_data) VALUES (1, 'click', '{"page": "/home"}');

CREATE TABLE countries (code VARCHAR(2) PRIMARY KEY, name VARCHAR(100));
SELECT create_reference_table('countries');
SELECT e.*, c.name as country_name
FROM events e
JOIN countries c ON e.event_data->>'country_code' = c.code
WHERE e.tenant_id = 1;

CREATE TABLE system_settings (key VARCHAR(100) PRIMARY KEY, value TEXT);

CREATE TABLE tenants (tenant_id INT PRIMARY KEY, name VARCHAR(100), plan VARCHAR(20));
SELECT create_distributed_table('tenants', 'tenant_id');
CREATE TABLE users (user_id SERIAL, tenant_id INT, email VARCHAR(255), PRIMARY KEY (tenant_id, user_id));
SELECT create_distributed_table('users', 'tenant_id');
CREATE TABLE orders (order_id SERIAL, tenant_id INT, user_id INT, total DECIMAL(10,2), PRIMARY KEY (tenant_id, order_id));
SELECT create_distributed_table('orders', 'tenant_id');

SELECT t.name, COUNT(o.order_id) as order_count, SUM(o.total) as revenue
FROM tenants t JOIN orders o ON t.tenant_id = o.tenant_id
WHERE t.tenant_id = 1
GROUP BY t.name;

SELECT * FROM events WHERE tenant_id = 1 AND created_at > NOW() - INTERVAL '1 day' ORDER BY created_at DESC LIMIT 100;

SELECT DATE_TRUNC('day', created_at) as day, COUNT(*) as event_count
FROM events WHERE created_at > NOW() - INTERVAL '30 days'
GROUP BY DATE_TRUNC('day', created_at) ORDER BY day;

CREATE TABLE events_daily (tenant_id INT, day DATE, event_type VARCHAR(50), event_count BIGINT,
                           PRIMARY KEY (tenant_id, day, event_type));
SELECT create_distributed_table('events_daily', 'tenant_id');
INSERT INTO events_daily (tenant_id, day, event_type, event_count)
SELECT tenant_id, DATE_TRUNC('day', created_at)::DATE as day, event_type, COUNT(*) as event_count
FROM events WHERE created_at > NOW() - INTERVAL '1 hour'
GROUP BY tenant_id, DATE_TRUNC('day', created_at), event_type
ON CONFLICT (tenant_id, day, event_type)
DO UPDATE SET event_count = events_daily.event_count + EXCLUDED.event_count;

SELECT event_type, COUNT(*) as count, COUNT(DISTINCT tenant_id) as tenants
FROM events WHERE created_at > NOW() - INTERVAL '1 day'
GROUP BY event_type ORDER BY count DESC;
