-- Section 3, starting over: colocated by tenant.
DROP TABLE event, page;
CREATE TABLE event (tenant_id int, event_id bigint, page_id int, payload jsonb, primary key (tenant_id, event_id));
CREATE TABLE page (tenant_id int, page_id int, path text, primary key (tenant_id, page_id));
SELECT create_distributed_table('event', 'tenant_id');
SELECT create_distributed_table('page', 'tenant_id', colocate_with => 'event');
INSERT INTO page SELECT 6, i, CASE WHEN i % 2 = 0 THEN '/blog/' || i ELSE '/shop/' || i END FROM generate_series(1, 10) i;
INSERT INTO event SELECT 6, i, i % 10 + 1, jsonb_build_object('time', now() - i * interval '6 hours') FROM generate_series(1, 60) i;
SELECT page_id, count(event_id)
FROM page
LEFT JOIN (SELECT * FROM event WHERE (payload->>'time')::timestamptz >= now() - interval '1 week') recent
USING (tenant_id, page_id)
WHERE tenant_id = 6 AND path LIKE '/blog%'
GROUP BY page_id;
