//! However deeply a statement is nested, reading it stays within the stack of a worker thread.

/// What tokio gives its threads.
const STACK: usize = 2 << 20;

#[test]
fn no_nesting_overflows_the_stack() {
    let read_all = || {
        for depth in [10, 40, 80, 150, 1000, 20_000] {
            nested(depth).iter().for_each(|text| read(text));
        }
    };
    std::thread::Builder::new()
        .stack_size(STACK)
        .spawn(read_all)
        .expect("spawns")
        .join()
        .expect("does not panic");
}

/// Parses a text and visits all of it; a refusal is as good.
fn read(text: &str) {
    let Ok(statements) = howdah_sql::parse(text) else { return };
    for statement in &statements {
        let mut nodes = 0;
        let _ = howdah_sql::walk(statement.node().to_ref(), &mut |_| nodes += 1);
        howdah_sql::relation_names(statement);
    }
}

fn nested(depth: usize) -> Vec<String> {
    let around =
        |before: &str, after: &str| format!("SELECT {}1{}", before.repeat(depth), after.repeat(depth));
    vec![
        around("", "+1"),
        around("(", ")"),
        around("- ", ""),
        around("NOT ", ""),
        around("(SELECT ", ")"),
        around("", " UNION SELECT 1"),
        around("CASE WHEN ", " THEN 1 END"),
        around("", " AND true"),
        around("ARRAY[", "]"),
        around("", "::int"),
        around("f(", ")"),
        around("1 IN (SELECT ", ")"),
        format!("SELECT * FROM t{}", " JOIN t ON true".repeat(depth)),
        format!("WITH {} SELECT 1", vec!["a AS (SELECT 1)"; depth].join(",")),
        format!("EXPLAIN {} SELECT 1", "VERBOSE ".repeat(depth)),
    ]
}
