//! `tests/cases.txt` holds statements and their plans, or why there is none. The same statements are executed against PostgreSQL by
//! the harness. `UPDATE_EXPECT=1 cargo test` writes the plans anew.

use std::fmt::Write as _;
use std::path::Path;

use howdah_catalog::{Catalog, Sample};
use howdah_sql::NodeEnum;
use howdah_sql::ast::RangeVar;

use super::plan_select;
use crate::{Bound, Combine, CombinePiece, Merge, MultiShard, Piece, Template};

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/pushdown/tests/cases.txt");

#[test]
fn plans_are_as_written_down() {
    let path = Path::new(CASES);
    let expected = std::fs::read_to_string(path).expect("the cases can be read");
    let catalog = catalog();
    let mut actual = String::new();
    for block in expected.split("\n\n").map(str::trim).filter(|it| !it.is_empty()) {
        let statement = block.split("\n----").next().unwrap_or(block);
        let comments = statement.lines().take_while(|it| it.starts_with('#'));
        let comments: String = comments.map(|it| format!("{it}\n")).collect();
        let statement = &statement[comments.len().min(statement.len())..];
        if statement.is_empty() {
            writeln!(actual, "{comments}").expect("a string takes all");
            continue;
        }
        write!(actual, "{comments}{statement}\n----\n{}\n", plan_text(&catalog, statement))
            .expect("a string takes all");
    }
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(path, &actual).expect("the cases can be written");
        return;
    }
    for (expected, actual) in expected.split("\n\n").zip(actual.split("\n\n")) {
        assert_eq!(actual.trim(), expected.trim());
    }
}

/// The schema of the harness' generator.
fn catalog() -> Catalog {
    Sample::new(2)
        .hash("t1", "k int, a int, b bigint, c text, d numeric(10,2), e float8, f date, g bool", 1, 4)
        .hash("t2", "k int, a int, b smallint, c varchar(20), d numeric, e real, f date, g bool", 1, 4)
        .hash(
            "t3",
            "k int, a int, b int, c text, h timestamptz, i interval, j jsonb, u uuid, l int[], m char(4)",
            1,
            4,
        )
        .hash("s1", "sk text, a int, b bigint, c text", 2, 4)
        .reference("r1", "id int, a int, c text, d numeric")
        .reference("r2", "id int, b bigint, g bool")
        .catalog()
}

fn plan_text(catalog: &Catalog, statement: &str) -> String {
    let parsed = howdah_sql::parse(statement).expect("cases are SQL");
    let NodeEnum::SelectStmt(select) = parsed[0].node() else { panic!("{statement} is no SELECT") };
    let table = |it: &RangeVar| catalog.table_named("public", &it.relname).map(|it| it.oid);
    match plan_select(select, catalog, &table) {
        Ok((rung, plan, reasons)) => {
            let mut text = format!("{}, shards {:?}\n", rung.name(), plan.shards);
            reasons.iter().for_each(|(rung, reason)| {
                writeln!(text, "  not {}: {reason}", rung.name()).expect("a string takes all")
            });
            write!(text, "  worker: {}\n  {}\n", template_text(catalog, &plan.template), merge_text(&plan))
                .expect("a string takes all");
            text
        }
        Err(mut reasons) => {
            reasons.dedup_by(|a, b| a.1 == b.1);
            reasons.into_iter().map(|(rung, reason)| format!("not {}: {reason}\n", rung.name())).collect()
        }
    }
}

fn template_text(catalog: &Catalog, template: &Template) -> String {
    let piece = |it: &Piece| match it {
        Piece::Text(text) => text.clone(),
        Piece::Shard(oid) => format!("{}_{{shard}}", catalog.table(*oid).expect("the table exists").name),
        Piece::TransactionTime => "{time}".into(),
        other => format!("{other:?}"),
    };
    template.0.iter().map(piece).collect()
}

fn merge_text(plan: &MultiShard) -> String {
    match &plan.merge {
        Merge::Concat { limit: None, offset: None } => "concat".into(),
        Merge::Concat { limit, offset } => format!("concat{}", bounds(*limit, *offset)),
        Merge::Ordered { keys, output_columns, limit, offset, fallback } => {
            let key = |it: &crate::SortKey| {
                let direction = if it.descending { " desc" } else { "" };
                let nulls = if it.nulls_first { " nulls first" } else { "" };
                format!("{}{direction}{nulls}", it.column)
            };
            let keys: Vec<String> = keys.iter().map(key).collect();
            let keys = keys.join(", ");
            let bounds = bounds(*limit, *offset);
            format!("ordered by {keys}, {output_columns} columns{bounds}, else {}", combine_text(fallback))
        }
        Merge::Combine(combine) => format!("combine: {}", combine_text(combine)),
        Merge::Modified => "modified".into(),
    }
}

fn bounds(limit: Option<Bound>, offset: Option<Bound>) -> String {
    let bound = |word: &str, it: Option<Bound>| match it {
        Some(Bound::Constant(it)) => format!(" {word} {it}"),
        Some(Bound::Parameter(it)) => format!(" {word} ${it}"),
        None => String::new(),
    };
    format!("{}{}", bound("limit", limit), bound("offset", offset))
}

fn combine_text(combine: &Combine) -> String {
    let piece = |it: &CombinePiece| match it {
        CombinePiece::Text(text) => text.clone(),
        CombinePiece::TypeOf(column) => format!("{{type of c{column}}}"),
    };
    let query: String = combine.query.iter().map(piece).collect();
    match combine.parameters.as_slice() {
        [] => query,
        parameters => format!("{query} with parameters {parameters:?}"),
    }
}
