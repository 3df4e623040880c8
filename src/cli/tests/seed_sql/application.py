"""The application of the documentation as written, but for the address and the password; then 20 threads use it."""
import json
import os
import sys
import threading

import psycopg2
from psycopg2.pool import ThreadedConnectionPool
from contextlib import contextmanager

pool = ThreadedConnectionPool(minconn=5, maxconn=20, host=os.environ["PGHOST"], port=int(os.environ["PGPORT"]),
                              database=os.environ["PGDATABASE"], user=os.environ["PGUSER"],
                              password=os.environ["PGPASSWORD"], sslmode="require")

@contextmanager
def get_connection():
    conn = pool.getconn()
    try:
        yield conn
    finally:
        pool.putconn(conn)

def get_tenant_events(tenant_id, limit=100):
    with get_connection() as conn, conn.cursor() as cur:
        cur.execute("SELECT event_id, event_type, event_data, created_at FROM events "
                    "WHERE tenant_id = %s ORDER BY created_at DESC LIMIT %s", (tenant_id, limit))
        return cur.fetchall()

def insert_event(tenant_id, event_type, event_data):
    with get_connection() as conn, conn.cursor() as cur:
        cur.execute("INSERT INTO events (tenant_id, event_type, event_data) VALUES (%s, %s, %s) RETURNING event_id",
                    (tenant_id, event_type, json.dumps(event_data)))
        conn.commit()
        return cur.fetchone()[0]

def statistics():
    with get_connection() as conn, conn.cursor() as cur:
        cur.execute("SELECT event_type, COUNT(*) as count, COUNT(DISTINCT tenant_id) as tenants FROM events "
                    "WHERE created_at > NOW() - INTERVAL '1 day' GROUP BY event_type ORDER BY count DESC")
        rows = cur.fetchall()
        conn.commit()
        return rows

THREADS, ROUNDS = 20, 25
ids, errors = [], []

def work(thread):
    try:
        for n in range(ROUNDS):
            tenant = 10_000 + thread
            ids.append(insert_event(tenant, "app", {"n": n, "text": "it's \"quoted\""}))
            events = get_tenant_events(tenant, 10)
            assert len(events) == min(n + 1, 10), (n, len(events))
            assert events[0][2]["n"] in range(ROUNDS), events[0]
            if n % 10 == 0:
                assert any(row[0] == "app" for row in statistics())
    except Exception as error:
        errors.append(repr(error))

threads = [threading.Thread(target=work, args=(n,)) for n in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not errors, errors
assert len(set(ids)) == THREADS * ROUNDS, "event ids are unique"
row = next(row for row in statistics() if row[0] == "app")
assert row[1:] == (THREADS * ROUNDS, THREADS), row
print("ok", sys.version.split()[0], psycopg2.__version__)
