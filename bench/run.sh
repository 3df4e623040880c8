#!/usr/bin/env bash
# Measures a server group against a plain PostgreSQL and PgBouncer with the same data, in one run, as ratios.
#
#   bench/run.sh [--seconds N] [--rounds N] [--quick]
#
# Every figure stands beside its peer's from the same minute: machines are noisy, ratios less so. With several rounds
# the peers take turns, and the median counts. CPU per query is the user and system time of the processes, reaped
# children included, divided by the statements they served: it is steadier still. docs/performance.md explains the figures.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=8 rounds=1 clients="1 16 64" protocols="simple extended prepared" rows=500000
while [ $# -gt 0 ]; do
    case $1 in
        --seconds) seconds=$2; shift 2 ;;
        --rounds) rounds=$2; shift 2 ;;
        --quick) seconds=3 clients="16" protocols="simple prepared" rows=100000; shift ;;
        *) echo "usage: bench/run.sh [--seconds N] [--rounds N] [--quick]" >&2; exit 1 ;;
    esac
done

bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
howdah=target/release/howdah
[ -x "$howdah" ] || { echo "bench: $howdah is missing: run make build" >&2; exit 1; }
work=$(mktemp -d /tmp/howdah-bench.XXXXXX)
chmod 755 "$work"
as_postgres() { if [ "$(id -u)" = 0 ]; then setpriv --reuid postgres --regid postgres --clear-groups "$@"; else "$@"; fi; }

cleanup() {
    [ -f "$work/pgbouncer.pid" ] && kill "$(cat "$work/pgbouncer.pid")" 2>/dev/null || true
    as_postgres "$bin/pg_ctl" -D "$work/plain/data" -m immediate stop >/dev/null 2>&1 || true
    "$howdah" local down --dir "$work/group" --wipe >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap cleanup EXIT

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

start_plain() {
    plain_port=$(free_port)
    mkdir "$work/plain" && { [ "$(id -u)" != 0 ] || chown postgres "$work/plain"; }
    as_postgres "$bin/initdb" -D "$work/plain/data" -A trust -U postgres --locale=C.UTF-8 -E UTF8 >/dev/null
    cat >>"$work/plain/data/postgresql.conf" <<CONF
port = $plain_port
listen_addresses = '127.0.0.1'
unix_socket_directories = '$work/plain'
max_connections = 200
jit = off
CONF
    as_postgres "$bin/pg_ctl" -D "$work/plain/data" -l "$work/plain/log" -w start >/dev/null
    plain="host=127.0.0.1 port=$plain_port user=postgres dbname=postgres sslmode=disable"
}

start_pgbouncer() {
    bouncer=""
    command -v pgbouncer >/dev/null || return 0
    bouncer_port=$(free_port)
    printf '"postgres" ""\n' >"$work/users.txt"
    cat >"$work/pgbouncer.ini" <<INI
[databases]
postgres = host=$work/plain port=$plain_port
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $bouncer_port
unix_socket_dir =
auth_type = any
auth_file = $work/users.txt
pool_mode = session
default_pool_size = 100
max_client_conn = 1000
pidfile = $work/pgbouncer.pid
INI
    sed -i 's/^\(postgres = .*\)$/\1 user=postgres/' "$work/pgbouncer.ini"
    chmod 777 "$work"
    as_postgres pgbouncer -q -d "$work/pgbouncer.ini"
    bouncer="host=127.0.0.1 port=$bouncer_port user=postgres dbname=postgres sslmode=disable"
}

start_group() {
    "$howdah" local up -f config/samples/minimal.yaml --dir "$work/group" --port "$(free_port)" --detach >"$work/up" 2>"$work/up.log" ||
        { cat "$work/up.log" >&2; exit 1; }
    group=$(tail -1 "$work/up" | sed 's/sslmode=[a-z-]*/sslmode=disable/')
}

load() { # connection, distribute?
    local distribute=$2
    psql -qX "$1" -v ON_ERROR_STOP=1 -c "CREATE TABLE points (id int PRIMARY KEY, value int)" \
        -c "CREATE TABLE facts (tenant_id int, kind int, user_id int, amount int, at timestamp)" \
        -c "CREATE TABLE rollup (tenant_id int, kind int, n bigint, PRIMARY KEY (tenant_id, kind))" \
        -c "CREATE TABLE notes (tenant_id int, body text)" -c "CREATE TABLE copied (id int, body text)"
    if [ "$distribute" = yes ]; then
        psql -qXAt "$1" -v ON_ERROR_STOP=1 -c "SELECT create_distributed_table('points', 'id')" -c "SELECT create_distributed_table('facts', 'tenant_id')" \
            -c "SELECT create_distributed_table('rollup', 'tenant_id', colocate_with => 'facts')" \
            -c "SELECT create_distributed_table('notes', 'tenant_id')" -c "SELECT create_distributed_table('copied', 'id')" >/dev/null
    fi
    seq 1 100000 | awk '{print $1 "\t" $1 % 1000}' | psql -qX "$1" -c "COPY points FROM STDIN"
    awk -v n="$rows" 'BEGIN { for (i = 1; i <= n; i++) print i % 997 "\t" i % 10 "\t" i * 7919 % 50000 "\t" i % 1000 "\t2024-01-01 00:00:" i % 60 }' |
        psql -qX "$1" -c "COPY facts FROM STDIN"
    psql -qX "$1" -c "VACUUM ANALYZE points" -c "VACUUM ANALYZE facts"
}

descendants() { local pid; for pid in "$@"; do echo "$pid"; descendants $(pgrep -P "$pid" || true); done; }
ticks() { # CPU ticks of these processes, of all below them, and of those that they have reaped
    local pid
    for pid in $(descendants "$@"); do
        awk '{sub(/.*\) /, ""); print $12 + $13 + $14 + $15}' "/proc/$pid/stat" 2>/dev/null || true
    done | awk '{total += $1} END {print total + 0}'
}
members() { # field, role: of the group's members
    "$howdah" local status --dir "$work/group" -o json |
        python3 -c 'import json, sys; print(*[m[sys.argv[1]] for m in json.load(sys.stdin)["members"] if m["role"] == sys.argv[2]])' "$1" "$2"
}

# One run of pgbench. Prints: tps, CPU µs a query of what stands between, CPU µs a query of the servers.
run_pgbench() { # connection, pids between, pids of the servers, protocol, clients, script
    local between servers out
    between=$(ticks $2); servers=$(ticks $3)
    out=$(pgbench -n -M "$4" -c "$5" -j 2 -T "$seconds" -f "$6" "$1" 2>"$work/pgbench.err") || { cat "$work/pgbench.err" >&2; echo "0 0 0"; return; }
    sleep 0.2 # The backends of the last clients are still leaving.
    between=$(($(ticks $2) - between)); servers=$(($(ticks $3) - servers))
    echo "$out" | awk -v b="$between" -v s="$servers" -v hz="$hertz" '
        /actually processed/ {sub(/\/.*/, "", $6); n = $6} /^tps/ {tps = $3}
        END {printf "%.0f %.0f %.0f\n", tps, b / hz / n * 1e6, s / hz / n * 1e6}'
}
median() { sort -n | awk '{line[NR] = $0} END {print line[int((NR + 1) / 2)]}'; }

timed() { # connection, SQL: the best of three, in milliseconds
    python3 - "$1" "$2" <<'PY'
import subprocess, sys, time
best = None
for _ in range(3):
    start = time.monotonic()
    subprocess.run(["psql", "-qXAt", sys.argv[1], "-v", "ON_ERROR_STOP=1", "-c", sys.argv[2]], check=True, stdout=subprocess.DEVNULL)
    took = (time.monotonic() - start) * 1000
    best = took if best is None else min(best, took)
print(f"{best:.0f}")
PY
}
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { if (b > 0) printf "%.2f", a / b; else printf "-" }'; }

start_plain; start_pgbouncer; start_group
load "$plain" no
load "$group" yes
printf '\\set id random(1, 100000)\nSELECT value FROM points WHERE id = :id;\n' >"$work/select.sql"
printf '\\set t random(1, 1000)\nINSERT INTO notes (tenant_id, body) VALUES (:t, '"'a note of some length'"');\n' >"$work/insert.sql"
hertz=$(getconf CLK_TCK)
router=$(members pid router) nodes=$(members postgresPid primary)
plain_server=$(head -1 "$work/plain/data/postmaster.pid")
bouncer_pid=$([ -z "$bouncer" ] || cat "$work/pgbouncer.pid")

echo "transactions per second, as a ratio to plain PostgreSQL, and CPU µs per query ($(nproc) processors, $rounds x ${seconds} s each)"
printf '%-8s %-9s %7s | %7s %8s | %8s %6s %8s | %7s %6s %7s %8s\n' what protocol clients plain servers bouncer ratio bouncer howdah ratio router servers
for script in select insert; do
    for protocol in $protocols; do
        for n in $clients; do
            rm -f "$work"/*.runs
            for _ in $(seq "$rounds"); do
                run_pgbench "$plain" "" "$plain_server" "$protocol" "$n" "$work/$script.sql" >>"$work/plain.runs"
                [ -z "$bouncer" ] || run_pgbench "$bouncer" "$bouncer_pid" "$plain_server" "$protocol" "$n" "$work/$script.sql" >>"$work/bouncer.runs"
                run_pgbench "$group" "$router" "$nodes" "$protocol" "$n" "$work/$script.sql" >>"$work/howdah.runs"
            done
            read -r p _ ps < <(median <"$work/plain.runs")
            read -r b bc _ < <([ -z "$bouncer" ] && echo "0 0 0" || median <"$work/bouncer.runs")
            read -r h hc hs < <(median <"$work/howdah.runs")
            printf '%-8s %-9s %7s | %7s %8s | %8s %6s %8s | %7s %6s %7s %8s\n' "$script" "$protocol" "$n" "$p" "$ps" "$b" "$(ratio "$b" "$p")" "$bc" "$h" "$(ratio "$h" "$p")" "$hc" "$hs"
        done
    done
done

echo
echo "milliseconds, and plain PostgreSQL's time as a ratio (above 1: the group is faster), $rows rows"
printf '%-34s %8s %8s %8s\n' what plain howdah ratio
compare() { # name, SQL
    local p h
    p=$(timed "$plain" "$2"); h=$(timed "$group" "$2")
    printf '%-34s %8s %8s %8s\n' "$1" "$p" "$h" "$(ratio "$p" "$h")"
}
compare "group-by count" "SELECT kind, count(*) FROM facts GROUP BY kind"
compare "count(distinct)" "SELECT count(DISTINCT user_id) FROM facts"
compare "top ten tenants" "SELECT tenant_id, sum(amount) FROM facts GROUP BY tenant_id ORDER BY 2 DESC, 1 LIMIT 10"
compare "rollup" "INSERT INTO rollup SELECT tenant_id, kind, count(*) FROM facts GROUP BY 1, 2 ON CONFLICT (tenant_id, kind) DO UPDATE SET n = rollup.n + EXCLUDED.n"
awk -v n="$rows" 'BEGIN { for (i = 1; i <= n; i++) print i "\tsome text of a usual length " i }' >"$work/copy.txt"
chmod 644 "$work/copy.txt"
compare "COPY of $rows rows" "\\copy copied FROM '$work/copy.txt'"
