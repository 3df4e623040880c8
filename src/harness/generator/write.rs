//! Random writes of a few rows, on one shard, on many and on reference tables.

use super::{Generator, Kind};

impl Generator {
    pub(super) fn write(&mut self) -> String {
        let key = self.random.below(22);
        let other = self.random.below(22);
        match self.random.below(9) {
            0 => format!(
                "INSERT INTO t1 VALUES ({key}, {}, {other}, 'w{key}', 2.5, 0.5, date '2024-01-03', true)",
                key % 4
            ),
            1 => format!(
                "INSERT INTO t2 (k, a, c) VALUES ({key}, 1, 'n'), ({other}, 2, NULL), ({}, NULL, 'm')",
                key + other
            ),
            2 => format!("UPDATE t1 SET a = coalesce(a, 0) + 1, c = 'u' WHERE k = {key}"),
            3 => format!("UPDATE t1 SET b = b + 1 WHERE a = {}", self.random.below(5)),
            4 => format!("DELETE FROM t2 WHERE k IN ({key}, {other})"),
            5 => format!("DELETE FROM t3 WHERE a = {}", self.random.below(5)),
            6 => format!("UPDATE r1 SET c = {} WHERE id = {}", self.constant(Kind::Text), 1 + key % 12),
            7 => format!("INSERT INTO r2 VALUES ({}, {key}, NULL)", 20 + other),
            _ => format!("INSERT INTO s1 VALUES ('z{}', {key}, {other}, NULL)", key % 3),
        }
    }
}
