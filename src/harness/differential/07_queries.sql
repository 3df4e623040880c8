-- 7.2.1 FROM: joins
SELECT c.name, o.order_id FROM customers c JOIN orders o ON o.customer_id = c.customer_id WHERE c.customer_id = 5 ORDER BY 2;
SELECT c.name, o.order_id FROM customers c, orders o WHERE o.customer_id = c.customer_id AND c.customer_id = 5 ORDER BY 2;
SELECT name, order_id FROM customers JOIN orders USING (customer_id) WHERE customer_id = 5 ORDER BY 2;
SELECT name, order_id FROM customers NATURAL JOIN orders WHERE customer_id = 5 ORDER BY 2;
SELECT customer_id, name, order_id, total FROM customers JOIN orders USING (customer_id) WHERE total > 90 ORDER BY total, order_id;
SELECT count(*) FROM customers c LEFT JOIN orders o USING (customer_id);
SELECT count(*), count(o.order_id) FROM customers c LEFT JOIN orders o ON o.customer_id = c.customer_id AND o.status = 'open';
SELECT count(*), count(c.name) FROM orders o RIGHT JOIN customers c ON o.customer_id = c.customer_id;
SELECT count(*), count(c.customer_id), count(o.customer_id) FROM orders o FULL JOIN customers c ON o.customer_id = c.customer_id;
SELECT c.customer_id FROM customers c LEFT JOIN orders o USING (customer_id) WHERE o.customer_id IS NULL ORDER BY 1;
SELECT count(*) FROM customers CROSS JOIN countries;
SELECT count(*) FROM customers a, customers b WHERE a.customer_id < b.customer_id AND a.country = b.country;
SELECT a.customer_id, b.customer_id FROM customers a JOIN customers b ON a.customer_id = b.customer_id + 1 WHERE a.customer_id = 8;
SELECT count(*) FROM customers c JOIN orders o USING (customer_id) JOIN items i USING (customer_id, order_id);
SELECT c.name, sum(i.quantity * i.price)::numeric(12,2) FROM customers c JOIN orders o USING (customer_id) JOIN items i USING (customer_id, order_id) WHERE customer_id = 8 GROUP BY c.name;
SELECT c.country, sum(i.quantity) FROM customers c JOIN orders o USING (customer_id) JOIN items i USING (customer_id, order_id) GROUP BY c.country ORDER BY 1;
SELECT i.order_id, p.title FROM items i JOIN products p USING (product_id) WHERE i.customer_id = 9 ORDER BY 1, 2;
SELECT p.category, count(*), sum(i.quantity) FROM items i JOIN products p USING (product_id) GROUP BY p.category ORDER BY 1;
SELECT p.category, count(*), sum(i.quantity) FROM items i LEFT JOIN products p USING (product_id) GROUP BY p.category ORDER BY 1;
SELECT p.product_id, count(i.line) FROM products p LEFT JOIN items i USING (product_id) GROUP BY p.product_id ORDER BY 1;
SELECT p.product_id FROM products p LEFT JOIN items i USING (product_id) WHERE i.line IS NULL ORDER BY 1;
SELECT count(*) FROM products p FULL JOIN items i USING (product_id);
SELECT co.name, count(c.customer_id) FROM countries co LEFT JOIN customers c ON c.country = co.code GROUP BY co.name ORDER BY 1;
SELECT count(*) FROM items i JOIN orders o ON o.order_id = i.order_id;
SELECT count(*) FROM visits v JOIN customers c ON c.customer_id = v.customer_id;
SELECT v.page, count(DISTINCT c.country) FROM visits v JOIN customers c USING (customer_id) GROUP BY v.page ORDER BY 1;
SELECT count(*) FROM visits v LEFT JOIN orders o ON o.customer_id = v.customer_id AND o.total > v.seconds;
SELECT s.key, c.name FROM settings s JOIN customers c ON c.customer_id = s.number ORDER BY 1;
SELECT count(*) FROM settings s LEFT JOIN orders o ON o.customer_id = s.number;
SELECT c.customer_id, x.n FROM customers c, LATERAL (SELECT count(*) AS n FROM orders o WHERE o.customer_id = c.customer_id) x WHERE c.customer_id < 8 ORDER BY 1;
SELECT c.customer_id, x.order_id FROM customers c LEFT JOIN LATERAL (SELECT order_id FROM orders o WHERE o.customer_id = c.customer_id ORDER BY total DESC NULLS LAST, order_id LIMIT 1) x ON true WHERE c.customer_id < 8 ORDER BY 1;
SELECT c.customer_id, g FROM customers c, generate_series(1, c.customer_id) g WHERE c.customer_id < 4 ORDER BY 1, 2;
SELECT order_id, tag FROM orders, unnest(tags) AS tag WHERE customer_id = 4 ORDER BY 1, 2;
SELECT tag, count(*) FROM orders, unnest(tags) AS tag GROUP BY tag ORDER BY 1;
SELECT key, count(*) FROM visits, jsonb_each(payload) GROUP BY key ORDER BY 1;
SELECT * FROM (VALUES (1, 'one'), (2, 'two')) v(id, word) JOIN customers ON customer_id = id ORDER BY 1;
SELECT * FROM (SELECT customer_id AS id, name FROM customers) sub WHERE id = 6;
SELECT * FROM (SELECT customer_id AS id, count(*) AS n FROM orders GROUP BY customer_id) sub WHERE id = 6;
SELECT * FROM (SELECT customer_id AS id, count(*) AS n FROM orders GROUP BY customer_id) sub WHERE n > 5 ORDER BY 1;
SELECT avg(n)::numeric(10,4) FROM (SELECT customer_id, count(*) AS n FROM orders GROUP BY customer_id) sub;
SELECT status, avg(n)::numeric(10,4) FROM (SELECT customer_id, status, count(*) AS n FROM orders GROUP BY customer_id, status) sub GROUP BY status ORDER BY 1;
SELECT max(s) FROM (SELECT status, sum(total) AS s FROM orders GROUP BY status) sub;
SELECT * FROM (SELECT * FROM orders ORDER BY total DESC NULLS LAST, order_id LIMIT 5) top ORDER BY order_id;
SELECT count(*) FROM (SELECT DISTINCT status FROM orders) d;
SELECT count(*) FROM (SELECT DISTINCT customer_id, status FROM orders) d;
-- 7.2.2 WHERE and subqueries
SELECT name FROM customers WHERE customer_id IN (SELECT customer_id FROM orders WHERE total > 95) ORDER BY 1;
SELECT name FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.customer_id AND o.total > 95) ORDER BY 1;
SELECT name FROM customers c WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.customer_id) ORDER BY 1;
SELECT name FROM customers WHERE customer_id NOT IN (SELECT customer_id FROM orders) ORDER BY 1;
SELECT count(*) FROM customers WHERE customer_id IN (SELECT customer_id FROM visits);
SELECT count(*) FROM customers WHERE customer_id NOT IN (SELECT customer_id FROM visits);
SELECT count(*) FROM customers WHERE customer_id NOT IN (SELECT customer_id FROM visits WHERE customer_id IS NOT NULL);
SELECT count(*) FROM orders WHERE total > (SELECT avg(total) FROM orders);
SELECT order_id FROM orders o WHERE total = (SELECT max(total) FROM orders x WHERE x.customer_id = o.customer_id) AND customer_id < 6 ORDER BY 1;
SELECT count(*) FROM orders o WHERE total > (SELECT avg(total) FROM orders x WHERE x.status = o.status);
SELECT count(*) FROM customers WHERE country IN (SELECT code FROM countries WHERE continent = 'Europe');
SELECT count(*) FROM customers WHERE country NOT IN (SELECT code FROM countries WHERE continent = 'Europe');
SELECT code FROM countries WHERE code IN (SELECT country FROM customers) ORDER BY 1;
SELECT code FROM countries co WHERE NOT EXISTS (SELECT 1 FROM customers c WHERE c.country = co.code) ORDER BY 1;
SELECT count(*) FROM orders WHERE total > ALL (SELECT price FROM products);
SELECT count(*) FROM orders WHERE total < ANY (SELECT price FROM products);
SELECT count(*) FROM orders WHERE customer_id < (SELECT number FROM settings WHERE key = 'threshold');
SELECT name FROM customers WHERE customer_id = (SELECT number FROM settings WHERE key = 'threshold');
SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM items), (SELECT count(*) FROM visits);
-- @message
SELECT (SELECT customer_id FROM customers);
-- 7.2.3 GROUP BY, HAVING
SELECT customer_id, count(*), sum(total) FROM orders GROUP BY customer_id ORDER BY 1;
SELECT status, count(*), sum(total), avg(total)::numeric(12,6), min(placed), max(placed) FROM orders GROUP BY status ORDER BY 1;
SELECT status, customer_id % 3, count(*) FROM orders GROUP BY status, customer_id % 3 ORDER BY 1, 2;
SELECT date_trunc('month', placed) AS month, count(*) FROM orders GROUP BY month ORDER BY month;
SELECT date_trunc('month', placed), count(*) FROM orders GROUP BY 1 ORDER BY 2 DESC, 1;
SELECT count(*), country FROM customers GROUP BY country HAVING count(*) > 10 ORDER BY 2;
SELECT country FROM customers GROUP BY country ORDER BY count(*) DESC, country NULLS FIRST;
SELECT customer_id FROM orders GROUP BY customer_id HAVING sum(total) > 250 ORDER BY 1;
SELECT status FROM orders GROUP BY status HAVING bool_or(total > 99) AND min(total) < 1 ORDER BY 1;
SELECT c.customer_id, c.name, count(*) FROM customers c JOIN orders o USING (customer_id) GROUP BY c.customer_id ORDER BY 3 DESC, 1 LIMIT 4;
SELECT sum(total) FROM orders HAVING count(*) > 1000;
SELECT sum(total) FROM orders HAVING count(*) > 10;
SELECT 1 FROM orders HAVING true;
SELECT count(*) + 1, sum(total) * 2 - min(total), coalesce(max(total), 0) FROM orders WHERE status = 'nosuch';
SELECT count(*), sum(total), avg(total), min(status), bool_and(total > 1) FROM orders WHERE false;
SELECT status, sum(total) / count(*) > 40 FROM orders GROUP BY status ORDER BY 1;
SELECT upper(status), length(status) + 1 FROM orders GROUP BY status ORDER BY 1;
SELECT upper(status) AS status, count(*) FROM orders GROUP BY status ORDER BY 1;
SELECT upper(status) AS s, count(*) FROM orders GROUP BY s ORDER BY 1;
SELECT DISTINCT count(*) FROM orders GROUP BY status ORDER BY 1;
SELECT total > 50 AS big, count(*) FROM orders GROUP BY total > 50 ORDER BY 1;
SELECT CASE WHEN total > 50 THEN 'big' ELSE 'small' END, count(*) FROM orders GROUP BY 1 ORDER BY 1;
SELECT tags, count(*) FROM orders GROUP BY tags ORDER BY 1;
SELECT payload->>'tag', count(*), sum(seconds) FROM visits GROUP BY 1 ORDER BY 1;
SELECT payload, count(*) FROM visits GROUP BY payload ORDER BY 2 DESC, 1 LIMIT 5;
-- @message
SELECT status, total FROM orders GROUP BY status;
-- @message
SELECT count(*) FROM orders WHERE count(*) > 1;
SELECT count(DISTINCT status), count(DISTINCT customer_id), count(DISTINCT (status, customer_id)) FROM orders;
SELECT status, count(DISTINCT customer_id) FROM orders GROUP BY status ORDER BY 1;
SELECT customer_id, count(DISTINCT status) FROM orders GROUP BY customer_id ORDER BY 1 LIMIT 10;
SELECT sum(DISTINCT total), count(total), count(DISTINCT total) FROM orders;
-- 7.2.4 grouping sets
SELECT status, customer_id % 2, count(*) FROM orders GROUP BY GROUPING SETS ((status), (customer_id % 2), ()) ORDER BY 1, 2, 3;
SELECT status, customer_id % 2, sum(total) FROM orders GROUP BY ROLLUP (status, customer_id % 2) ORDER BY 1, 2;
SELECT status, customer_id % 2, sum(total), grouping(status, customer_id % 2) FROM orders GROUP BY CUBE (status, customer_id % 2) ORDER BY 1, 2, 4;
SELECT customer_id, status, count(*) FROM orders WHERE customer_id < 4 GROUP BY ROLLUP (customer_id, status) ORDER BY 1, 2;
-- 7.2.5 windows
SELECT order_id, sum(total) OVER (PARTITION BY customer_id ORDER BY order_id) FROM orders WHERE customer_id < 4 ORDER BY 1;
SELECT customer_id, order_id, row_number() OVER (PARTITION BY customer_id ORDER BY placed DESC) FROM orders ORDER BY 1, 2 LIMIT 12;
SELECT customer_id, lag(total) OVER w, lead(total) OVER w, first_value(total) OVER w FROM orders WINDOW w AS (PARTITION BY customer_id ORDER BY order_id) ORDER BY customer_id, order_id LIMIT 15;
SELECT status, order_id, rank() OVER (PARTITION BY status ORDER BY total NULLS LAST, order_id) AS r FROM orders ORDER BY r, status LIMIT 8;
SELECT order_id, row_number() OVER (ORDER BY total NULLS LAST, order_id) FROM orders ORDER BY 2 LIMIT 7;
SELECT status, count(*), rank() OVER (ORDER BY count(*) DESC, status) FROM orders GROUP BY status ORDER BY 3;
SELECT customer_id, sum(total), sum(sum(total)) OVER () FROM orders GROUP BY customer_id ORDER BY 1 LIMIT 5;
SELECT order_id, ntile(4) OVER (ORDER BY order_id), cume_dist() OVER (ORDER BY order_id) FROM orders ORDER BY 1 LIMIT 6;
SELECT order_id, count(*) OVER (ORDER BY placed RANGE BETWEEN '1 day' PRECEDING AND CURRENT ROW) FROM orders WHERE customer_id = 3 ORDER BY 1;
SELECT * FROM (SELECT order_id, customer_id, row_number() OVER (PARTITION BY customer_id ORDER BY total DESC NULLS LAST, order_id) AS n FROM orders) x WHERE n = 1 ORDER BY customer_id LIMIT 10;
-- 7.3 select lists
SELECT customer_id * 2 AS twice, name || '!' AS "shout!" FROM customers WHERE customer_id = 3;
SELECT *, customer_id AS again, 'x' FROM countries c, customers WHERE code = country AND customer_id = 6;
SELECT DISTINCT country FROM customers ORDER BY 1;
SELECT DISTINCT customer_id, status FROM orders ORDER BY 1, 2 LIMIT 10;
SELECT DISTINCT ON (status) status, order_id, total FROM orders ORDER BY status, total DESC NULLS LAST, order_id;
SELECT DISTINCT ON (customer_id) customer_id, order_id FROM orders ORDER BY customer_id, order_id DESC LIMIT 8;
SELECT DISTINCT status, count(*) OVER (PARTITION BY status) FROM orders ORDER BY 1;
SELECT customer_id FROM customers WHERE customer_id = 4 AND name = 'nobody';
SELECT FROM customers WHERE customer_id = 4;
SELECT count(*) FROM (SELECT FROM customers) x;
-- 7.4 combining
SELECT customer_id FROM customers WHERE customer_id < 4 UNION SELECT customer_id FROM orders WHERE customer_id < 6 ORDER BY 1;
SELECT customer_id FROM customers WHERE customer_id < 4 UNION ALL SELECT customer_id FROM orders WHERE customer_id < 3 ORDER BY 1;
SELECT customer_id FROM customers INTERSECT SELECT customer_id FROM orders WHERE total > 90 ORDER BY 1;
SELECT customer_id FROM customers EXCEPT SELECT customer_id FROM orders ORDER BY 1;
SELECT customer_id FROM customers EXCEPT ALL SELECT customer_id FROM orders ORDER BY 1;
SELECT status FROM orders UNION SELECT category FROM products ORDER BY 1;
SELECT name FROM customers WHERE customer_id = 3 UNION SELECT name FROM countries ORDER BY 1;
SELECT 'c' AS kind, count(*) FROM customers UNION ALL SELECT 'o', count(*) FROM orders ORDER BY 1;
SELECT customer_id FROM orders WHERE customer_id = 7 UNION ALL SELECT customer_id FROM items WHERE customer_id = 7;
(SELECT order_id FROM orders ORDER BY total DESC NULLS LAST, order_id LIMIT 3) UNION ALL (SELECT order_id FROM orders ORDER BY total, order_id LIMIT 3) ORDER BY 1;
SELECT count(*) FROM (SELECT customer_id FROM customers UNION SELECT customer_id FROM orders) u;
SELECT 1 UNION SELECT customer_id FROM customers WHERE customer_id < 3 ORDER BY 1;
-- 7.5 sorting, 7.6 limit
SELECT name, balance FROM customers ORDER BY balance DESC, customer_id LIMIT 5;
SELECT name FROM customers ORDER BY born DESC NULLS LAST, customer_id OFFSET 3 LIMIT 4;
SELECT name, born FROM customers ORDER BY born NULLS FIRST, customer_id FETCH FIRST 3 ROWS ONLY;
SELECT customer_id, country FROM customers ORDER BY country, customer_id DESC LIMIT 10;
SELECT name AS n FROM customers ORDER BY n LIMIT 5;
SELECT name FROM customers ORDER BY length(name), name DESC LIMIT 5;
SELECT customer_id + balance AS s FROM customers ORDER BY customer_id + balance, 1 LIMIT 5;
SELECT at FROM visits ORDER BY at LIMIT 3;
SELECT visitor, at FROM visits ORDER BY visitor DESC, at LIMIT 3;
SELECT seconds, page FROM visits ORDER BY seconds DESC NULLS LAST, page, at LIMIT 5;
SELECT active, customer_id FROM customers ORDER BY active, customer_id LIMIT 12;
SELECT customer_id FROM customers ORDER BY 1 LIMIT 0;
SELECT customer_id FROM customers ORDER BY 1 LIMIT ALL OFFSET 57;
SELECT customer_id FROM customers ORDER BY 1 LIMIT NULL OFFSET 58;
SELECT customer_id FROM customers ORDER BY 1 LIMIT 1 + 2 OFFSET (SELECT 4);
SELECT customer_id FROM customers ORDER BY 1 OFFSET 1000;
-- @message
SELECT customer_id FROM customers ORDER BY 1 LIMIT -1;
-- @message
SELECT customer_id FROM customers ORDER BY 5;
SELECT country FROM customers ORDER BY country USING > LIMIT 3;
SELECT rank, n FROM (SELECT customer_id % 10 AS rank, count(*) AS n FROM orders GROUP BY 1) x ORDER BY rank FETCH FIRST 2 ROWS WITH TIES;
-- 7.7 values, 7.8 with
VALUES (1, 'one'), (2, 'two');
WITH t AS (SELECT * FROM orders WHERE customer_id = 4) SELECT count(*), sum(total) FROM t;
WITH t AS (SELECT * FROM orders) SELECT count(*), sum(total) FROM t WHERE customer_id = 4;
WITH regional AS (SELECT country, sum(total) AS s FROM customers JOIN orders USING (customer_id) GROUP BY country),
     top AS (SELECT country FROM regional WHERE s > (SELECT sum(s) / 10 FROM regional))
SELECT country, status, count(*), sum(total) FROM orders JOIN customers USING (customer_id) WHERE country IN (SELECT country FROM top) GROUP BY 1, 2 ORDER BY 1, 2;
WITH a AS (SELECT customer_id, count(*) AS n FROM orders GROUP BY customer_id), b AS (SELECT customer_id, count(*) AS m FROM items GROUP BY customer_id)
SELECT customer_id, n, m FROM a JOIN b USING (customer_id) WHERE n <> m ORDER BY 1;
WITH a AS MATERIALIZED (SELECT customer_id FROM customers WHERE active) SELECT count(*) FROM a x JOIN a y ON x.customer_id = y.customer_id + 1;
WITH customers AS (SELECT 1 AS customer_id, 'shadow' AS name) SELECT name FROM customers WHERE customer_id = 1;
WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 10) SELECT sum(n) FROM t;
WITH RECURSIVE t(n) AS (SELECT min(customer_id) FROM customers UNION ALL SELECT c.customer_id FROM t JOIN customers c ON c.customer_id = t.n + 1 WHERE t.n < 9) SELECT count(*), max(n) FROM t;
WITH RECURSIVE t(n, k) AS (SELECT order_id, 1 FROM orders WHERE customer_id = 3 UNION SELECT n + 1, k + 1 FROM t WHERE k < 3) SELECT count(*), max(n) FROM t;
