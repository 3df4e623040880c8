use pg_query::NodeRef;

use super::*;
use crate::parse;

/// Every column that the walk meets, in order.
fn columns(text: &str) -> Result<Vec<String>, UnknownNode> {
    let statement = parse(text).expect("parses").remove(0);
    let mut columns = Vec::new();
    walk(statement.node().to_ref(), &mut |node| {
        if let NodeRef::ColumnRef(it) = node {
            columns.push(names(&it.fields).join("."));
        }
    })?;
    Ok(columns)
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(columns(text).expect("known"), expected);
}

#[test]
fn every_expression_is_reached() {
    check(
        "select a, case b when c then d else e end, coalesce(f, g), greatest(h), x.i::text",
        &["a", "b", "c", "d", "e", "f", "g", "h", "x.i"],
    );
    check(
        "select (a).b[c:d], array[e, f], row(g), not h, i is null, j is true, k collate \"C\"",
        &["a", "c", "d", "e", "f", "g", "h", "i", "j", "k"],
    );
    check(
        "select f(a, x => b order by c) filter (where d) over (partition by e order by g rows h preceding)",
        &["a", "b", "c", "d", "e", "g", "h"],
    );
    check(
        "select a in (b, c), d between e and f, g like h, i = any(j)",
        &["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"],
    );
    check(
        "select 1 group by grouping sets ((a), rollup (b)) having c window w as (order by d) order by e limit f offset g",
        &["a", "b", "c", "d", "e", "g", "f"],
    );
    check(
        "select xmlelement(name x, xmlattributes(a), b), json_object('k': c), json_value(d, '$' passing e as v)",
        &["a", "b", "c", "d", "e"],
    );
    check(
        "insert into t values (a) on conflict (lower(b)) where c do update set d = e where f returning g",
        &["a", "b", "c", "e", "f", "g"],
    );
    check(
        "merge into t using u on a when matched and b then update set x = c when not matched then insert (y) values (d)",
        &["a", "b", "c", "d"],
    );
    check(
        "select * from f(a) x, lateral (select b) y tablesample system (c)"
            .replace(" tablesample system (c)", "")
            .as_str(),
        &["", "a", "b"],
    );
}
