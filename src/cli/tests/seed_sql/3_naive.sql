-- Section 3, first naively: distributed by event_id and page_id.
CREATE TABLE event (tenant_id int, event_id bigint, page_id int, payload jsonb, primary key (event_id));
CREATE TABLE page (tenant_id int, page_id int, path text, primary key (page_id));
SELECT create_distributed_table('event', 'event_id');
SELECT create_distributed_table('page', 'page_id');
INSERT INTO page SELECT 6, i, CASE WHEN i % 2 = 0 THEN '/blog/' || i ELSE '/shop/' || i END FROM generate_series(1, 10) i;
INSERT INTO event SELECT 6, i, i % 10 + 1, jsonb_build_object('time', now() - i * interval '6 hours') FROM generate_series(1, 60) i;
