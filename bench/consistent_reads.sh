#!/usr/bin/env bash
# What consistent reads cost: statements over several workers, and commits on several workers while others read, each with
# howdah.consistent_reads on and off in turns. Prints the ratio on / off of statements per second.
#
#   bench/consistent_reads.sh [--seconds N] [--rounds N] [--howdah PROGRAM]
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=4 rounds=5 howdah=target/release/howdah
while [ $# -gt 0 ]; do
    case $1 in
        --seconds) seconds=$2; shift 2 ;;
        --rounds) rounds=$2; shift 2 ;;
        --howdah) howdah=$2; shift 2 ;;
        *) echo "usage: bench/consistent_reads.sh [--seconds N] [--rounds N] [--howdah PROGRAM]" >&2; exit 1 ;;
    esac
done
[ -x "$howdah" ] || { echo "bench: $howdah is missing: run make build" >&2; exit 1; }
work=$(mktemp -d /tmp/howdah-bench.XXXXXX)
chmod 755 "$work"
trap '"$howdah" local down --dir "$work/group" --wipe >/dev/null 2>&1 || true; rm -rf "$work"' EXIT

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
uri=$("$howdah" local up --detach --port "$port" --workers 2 --dir "$work/group" | tail -1)
psql -qX "$uri" <<'SQL' >/dev/null
CREATE TABLE accounts (id int PRIMARY KEY, balance int NOT NULL);
SELECT create_distributed_table('accounts', 'id');
INSERT INTO accounts SELECT i, 100 FROM generate_series(1, 20000) i;
CREATE FUNCTION total() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT sum(balance) FROM accounts); END $$;
VACUUM ANALYZE accounts;
SQL

cat >"$work/sum.sql" <<<'SELECT sum(balance) FROM accounts;'
cat >"$work/range.sql" <<<'SELECT id FROM accounts WHERE id BETWEEN 100 AND 110;'
cat >"$work/live.sql" <<<'SELECT total();'
cat >"$work/block.sql" <<<'BEGIN; SELECT sum(balance) FROM accounts; COMMIT;'
cat >"$work/transfer.sql" <<'SQL'
\set a random(1, 20000)
\set b random(1, 20000)
BEGIN;
UPDATE accounts SET balance = balance - 1 WHERE id = :a;
UPDATE accounts SET balance = balance + 1 WHERE id = :b;
COMMIT;
SQL

# Transactions per second of the first script; those that follow run beside it.
tps() {
    local setting=$1 clients=$2 script=$3 beside=${4:-}
    if [ -n "$beside" ]; then
        PGOPTIONS="-c howdah.consistent_reads=$setting" pgbench -n -f "$work/$beside.sql" -c 4 -T $((seconds + 1)) "$uri" >/dev/null 2>&1 &
    fi
    PGOPTIONS="-c howdah.consistent_reads=$setting" pgbench -n -f "$work/$script.sql" -c "$clients" -T "$seconds" --max-tries 10 "$uri" 2>/dev/null |
        sed -n 's/^tps = \([0-9.]*\).*/\1/p'
    wait
}

measure() {
    local name=$1; shift
    local on=() off=()
    for _ in $(seq "$rounds"); do
        on+=("$(tps on "$@")"); off+=("$(tps off "$@")")
    done
    python3 - "$name" "${on[*]}" "${off[*]}" <<'PY'
import statistics, sys
on, off = ([float(it) for it in text.split()] for text in sys.argv[2:])
ratios = [a / b for a, b in zip(on, off)]
print(f"{sys.argv[1]:<48} {statistics.median(on):8.0f} on {statistics.median(off):8.0f} off  {statistics.median(ratios):.2f}")
PY
}

measure "sum over all shards, 1 client" 1 sum
measure "sum over all shards, 8 clients" 8 sum
measure "a few rows of all shards, 1 client" 1 range
measure "a few rows of all shards, 8 clients" 8 range
measure "sum inside a function, 4 clients" 4 live
measure "sum in a block, 4 clients" 4 block
measure "transfers beside 4 clients that sum, 8 clients" 8 transfer sum
measure "sums beside 4 clients that transfer, 8 clients" 8 sum transfer
