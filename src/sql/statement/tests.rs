use super::*;
use crate::{RelationNames, relation_names};

fn one(text: &str) -> Statement {
    parse(text).expect("parses").remove(0)
}

#[test]
fn statements_of_a_text_have_their_own_positions() {
    let statements = parse(" select 1; ;  update t set a = 2 ; -- end\nselect 3 -- x").expect("parses");
    let texts: Vec<_> = statements.iter().map(|it| (it.offset(), it.text())).collect();
    assert_eq!(texts, [(1, "select 1"), (14, "update t set a = 2 "), (42, "select 3 -- x")]);
    let NodeEnum::UpdateStmt(update) = statements[1].node() else { panic!("an update") };
    assert_eq!(update.relation.as_ref().expect("a relation").location, 7);
    assert!(parse("").expect("parses").is_empty());
    assert!(parse("select from where").is_err());
}

#[track_caller]
fn check_inner(text: &str, inner: &str) {
    let outer = one(text);
    let found = outer.inner().expect("an inner statement");
    assert_eq!(found.text(), inner);
    assert_eq!(&outer.text()[found.offset()..found.offset() + inner.len()], inner);
}

#[test]
fn inner_statements_are_found() {
    check_inner("explain select 1", "select 1");
    check_inner(
        "EXPLAIN (ANALYZE, FORMAT json) WITH a AS (SELECT 1) SELECT * FROM a ;",
        "WITH a AS (SELECT 1) SELECT * FROM a",
    );
    check_inner("explain analyze verbose delete from t", "delete from t");
    check_inner("declare c no scroll cursor with hold for select a from t", "select a from t");
    check_inner("copy (select a, (b) from t) to stdout with (format csv)", "select a, (b) from t");
    check_inner("prepare p (int, text) as insert into t values ($1, $2)", "insert into t values ($1, $2)");
    check_inner("explain (select 1) union select 2", "(select 1) union select 2");
    check_inner("explain values (1)", "values (1)");
    check_inner("create table u as select * from t with no data", "select * from t");
    assert!(one("select 1").inner().is_none());
}

#[test]
fn kinds_are_told_apart() {
    use crate::TransactionKind::*;
    assert_eq!(*one("begin").kind(), Kind::Transaction(Begin));
    assert_eq!(*one("commit and chain").kind(), Kind::Transaction(Commit { chain: true }));
    assert_eq!(*one("rollback to savepoint s").kind(), Kind::Transaction(RollbackTo("s".into())));
    assert_eq!(*one("set local a.b = 1").kind(), Kind::Set { local: true });
    assert_eq!(*one("reset all").kind(), Kind::Reset);
    assert_eq!(*one("select 1 into t").kind(), Kind::CreateTableAs);
    assert_eq!(*one("analyze t").kind(), Kind::Analyze);
    assert_eq!(*one("create index on t (a)").kind(), Kind::Ddl);
    assert_eq!(*one("copy t from stdin").kind(), Kind::CopyFrom);
    assert_eq!(*one("table t").kind(), Kind::Select);
}

#[track_caller]
fn check_names(text: &str, expected: &[&str]) {
    let names = relation_names(&one(text));
    assert!(matches!(names, RelationNames::Exact(_)), "{text}");
    assert_eq!(names.bare().collect::<Vec<_>>(), expected);
}

#[test]
fn relation_names_are_complete() {
    check_names("select * from a join b using (x) where exists (select from s.c)", &["a", "b", "c"]);
    check_names("with w as (delete from a returning *) insert into b select * from w", &["a", "b", "w"]);
    check_names(
        "update a set (x, y) = (select 1, 2 from b) from c where a.x = any(array(select 1 from d))",
        &["a", "b", "c", "d"],
    );
    check_names("truncate a, b", &["a", "b"]);
    check_names("copy a (x) to stdout", &["a"]);
    check_names("explain select json_arrayagg(x order by (select 1 from b)) from a", &["a", "b"]);
    check_names("lock table only a in share mode", &["a"]);
    let words = relation_names(&one("alter table \"My\".Events add column b int"));
    assert!(words.bare().any(|it| it == "events") && words.bare().any(|it| it == "My"));
}
