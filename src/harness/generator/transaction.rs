//! Random transactions that write: by statements, by functions, triggers and DO blocks, with savepoints, errors and rollbacks.
//!
//! Each has one outcome: no statement depends on the order in which rows are found.

use super::Generator;

/// One statement, and the lines that follow it if it is a COPY.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GeneratedStep {
    pub text: String,
    pub copy: Option<String>,
}

/// What the transactions need beside [`super::setup_sql`]; `u1` is to be distributed.
pub fn transaction_setup_sql() -> Vec<String> {
    const SQL: [&str; 9] = [
        "CREATE TABLE u1 (k int, id int, n int, c text, PRIMARY KEY (k, id))",
        "INSERT INTO u1 SELECT i % 9, i, i % 5, 'u' || i FROM generate_series(1, 30) i",
        "CREATE TABLE loc (id int PRIMARY KEY, x int)",
        "INSERT INTO loc SELECT i * 2, i % 4 FROM generate_series(1, 12) i",
        "CREATE FUNCTION w_bump(key int, by int) RETURNS numeric LANGUAGE plpgsql AS \
         $$ BEGIN UPDATE t1 SET b = b + by WHERE k = key; RETURN (SELECT sum(b) FROM t1); END $$",
        "CREATE FUNCTION w_loop(key int) RETURNS text LANGUAGE plpgsql AS $$ DECLARE r record; n int := 0; s text := ''; \
         BEGIN FOR r IN SELECT * FROM u1 WHERE k IN (key, key + 1) ORDER BY k, id LOOP \
         UPDATE u1 SET n = u1.n + r.n WHERE k = r.k AND id = r.id; INSERT INTO t2 (k, a, c) VALUES (r.k, r.n, 'f'); \
         n := n + 1; s := s || (SELECT sum(u.n) FROM u1 u) || ' '; END LOOP; RETURN n || ': ' || s; END $$",
        "CREATE FUNCTION w_try(key int) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN \
         BEGIN INSERT INTO u1 VALUES (key, key + 1, 0, 'try'); DELETE FROM t3 WHERE k = key; \
         INSERT INTO u1 VALUES (key, 1000, 0, 'both'); \
         EXCEPTION WHEN unique_violation THEN UPDATE u1 SET n = n + 1 WHERE k = key; END; \
         RETURN (SELECT sum(n) FROM u1); END $$",
        "CREATE FUNCTION w_follow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE u1 SET n = n + new.x WHERE k = new.id % 9; \
         INSERT INTO t2 (k, a, c) SELECT k, count(*), 't' FROM u1 WHERE n > 3 GROUP BY k; RETURN NULL; END $$",
        "CREATE TRIGGER w_follow AFTER INSERT OR UPDATE ON loc FOR EACH ROW EXECUTE FUNCTION w_follow()",
    ];
    SQL.iter().map(|it| (*it).to_owned()).collect()
}

impl Generator {
    /// The statements of the next transaction, BEGIN and its end among them unless it is a single one.
    pub fn next_transaction(&mut self) -> Vec<GeneratedStep> {
        let step = |text: &str| GeneratedStep { text: text.to_owned(), copy: None };
        if self.random.chance(25) {
            return vec![self.step()];
        }
        let mut steps = vec![step("BEGIN")];
        for _ in 0..2 + self.random.below(4) {
            if self.random.chance(25) {
                steps.push(step("SAVEPOINT a"));
                steps.push(self.step());
                if self.random.chance(60) {
                    steps.push(step("ROLLBACK TO SAVEPOINT a"));
                }
            } else {
                steps.push(self.step());
            }
        }
        steps.push(step(if self.random.chance(70) { "COMMIT" } else { "ROLLBACK" }));
        steps
    }

    fn step(&mut self) -> GeneratedStep {
        let (key, id, n) = (self.random.below(12), self.random.below(40), self.random.below(6));
        let mut copy = None;
        let text = match self.random.below(17) {
            0..=2 => self.write(),
            3 => format!("SELECT w_bump({key}, {n})"),
            4 => format!("SELECT w_loop({key})"),
            5 => format!("SELECT w_try({key})"),
            6 => format!("SELECT v, w_bump(v, 1) FROM (VALUES ({key}), ({id})) AS it (v)"),
            7 => format!(
                "INSERT INTO u1 VALUES ({key}, {id}, {n}, 'c'), ({n}, {id}, 1, NULL) ON CONFLICT (k, id) DO NOTHING RETURNING *"
            ),
            8 => format!(
                "INSERT INTO u1 VALUES ({key}, {id}, {n}, 'c') ON CONFLICT (k, id) DO UPDATE SET n = u1.n + excluded.n RETURNING n"
            ),
            9 => format!("UPDATE t1 SET a = loc.x FROM loc WHERE loc.id = t1.k AND loc.x <> {n}"),
            10 => format!("DELETE FROM t2 USING loc WHERE loc.id = t2.k AND loc.x = {n}"),
            11 => format!(
                "WITH w AS (UPDATE u1 SET n = n + 1 WHERE n < {n} RETURNING n) SELECT count(*), sum(n), (SELECT sum(n) FROM u1) FROM w"
            ),
            12 => "UPDATE u1 SET n = (SELECT count(*) FROM u1 x WHERE x.n < u1.n)".to_owned(),
            13 => format!(
                "DO $$ DECLARE s int; BEGIN INSERT INTO u1 SELECT k, 100 + max(id), {n}, 'do' FROM u1 WHERE id < 100 AND k = {key} GROUP BY k \
                 HAVING max(id) + 100 NOT IN (SELECT id FROM u1); SELECT sum(n) INTO s FROM u1; UPDATE t1 SET a = s % 7 WHERE k = {n}; \
                 DELETE FROM u1 WHERE n > 20; END $$"
            ),
            14 => format!("UPDATE loc SET x = x + 1 WHERE id = {}", 2 * key),
            15 => format!("INSERT INTO loc VALUES ({id}, {n})"),
            _ => {
                copy = Some(format!("{key}\t{}\t{n}\tcopied\n{n}\t{}\t\\N\tcopied\n", 200 + id, 250 + id));
                "COPY u1 FROM STDIN".to_owned()
            }
        };
        GeneratedStep { text, copy }
    }
}
