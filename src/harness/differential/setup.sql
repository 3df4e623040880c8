-- The schema of a small shop: two colocated families, two reference tables, one local table.
CREATE TABLE customers (
    customer_id int PRIMARY KEY,
    name text NOT NULL,
    country char(2),
    born date,
    balance numeric(12,2) DEFAULT 0,
    active boolean NOT NULL DEFAULT true,
    note varchar(40)
);
-- @group
SELECT create_distributed_table('customers', 'customer_id');

CREATE TABLE orders (
    order_id bigserial,
    customer_id int NOT NULL,
    placed timestamp NOT NULL,
    status text NOT NULL DEFAULT 'open',
    total numeric(10,2),
    tags text[],
    PRIMARY KEY (customer_id, order_id)
);
-- @group
SELECT create_distributed_table('orders', 'customer_id', colocate_with => 'customers');

CREATE TABLE items (
    customer_id int NOT NULL,
    order_id bigint NOT NULL,
    line int NOT NULL,
    product_id int,
    quantity int NOT NULL CHECK (quantity > 0),
    price real,
    PRIMARY KEY (customer_id, order_id, line)
);
-- @group
SELECT create_distributed_table('items', 'customer_id', colocate_with => 'customers');

-- Distributed by a text column, so colocated with nothing above.
CREATE TABLE visits (
    page text NOT NULL,
    visitor uuid NOT NULL,
    customer_id int,
    seconds double precision,
    at timestamptz NOT NULL,
    payload jsonb,
    PRIMARY KEY (page, visitor, at)
);
-- @group
SELECT create_distributed_table('visits', 'page');

CREATE TABLE countries (code char(2) PRIMARY KEY, name varchar(60) NOT NULL, continent text);
-- @group
SELECT create_reference_table('countries');

CREATE TABLE products (product_id int PRIMARY KEY, title text NOT NULL, price numeric(8,2), category text);
-- @group
SELECT create_reference_table('products');

CREATE TABLE settings (key text PRIMARY KEY, value text, number int);

INSERT INTO countries VALUES ('de', 'Germany', 'Europe'), ('fr', 'France', 'Europe'), ('jp', 'Japan', 'Asia'),
    ('br', 'Brazil', 'South America'), ('aq', 'Antarctica', NULL);
INSERT INTO products SELECT i, 'product ' || i, i * 1.25, CASE WHEN i % 5 = 0 THEN NULL ELSE 'category ' || i % 4 END FROM generate_series(1, 25) i;
INSERT INTO settings VALUES ('threshold', '7', 7), ('limit', '3', 3), ('empty', NULL, NULL);
INSERT INTO customers
    SELECT i, 'customer ' || i, CASE i % 5 WHEN 0 THEN 'de' WHEN 1 THEN 'fr' WHEN 2 THEN 'jp' WHEN 3 THEN 'xx' END,
           CASE WHEN i % 7 = 0 THEN NULL ELSE date '1970-01-01' + i * 100 END, (i * 37 % 101) * 1.5 - 20, i % 6 <> 0,
           CASE WHEN i % 3 = 0 THEN 'note ' || i % 4 END
    FROM generate_series(1, 60) i;
INSERT INTO orders (order_id, customer_id, placed, status, total, tags)
    SELECT i, i % 50 + 1, timestamp '2024-01-01 00:00:00' + i * interval '5 hours 13 minutes',
           CASE i % 4 WHEN 0 THEN 'open' WHEN 1 THEN 'paid' WHEN 2 THEN 'sent' ELSE 'void' END,
           CASE WHEN i % 11 = 0 THEN NULL ELSE (i * 7919 % 1000) / 10.0 END,
           CASE WHEN i % 3 = 0 THEN ARRAY['a', 'b' || i % 5] WHEN i % 3 = 1 THEN '{}'::text[] END
    FROM generate_series(1, 240) i;
SELECT setval('orders_order_id_seq', 1000);
INSERT INTO items
    SELECT i % 50 + 1, i, line, (i * line) % 30, i % 7 + line, (i * line % 13) / 4.0
    FROM generate_series(1, 240) i, generate_series(1, 3) line WHERE (i + line) % 4 <> 0;
INSERT INTO visits
    SELECT '/page/' || i % 9, ('00000000-0000-4000-8000-' || lpad((i % 17)::text, 12, '0'))::uuid, nullif(i % 70, 0),
           CASE WHEN i % 8 = 0 THEN NULL ELSE i * 0.37 END, timestamptz '2024-03-01 00:00:00+00' + i * interval '17 minutes',
           CASE WHEN i % 5 = 0 THEN NULL ELSE jsonb_build_object('n', i % 10, 'tag', 't' || i % 3, 'deep', jsonb_build_object('x', i % 4)) END
    FROM generate_series(1, 150) i;
