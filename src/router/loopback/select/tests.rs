use super::*;

fn parsed(text: &str) -> Select {
    Select::parse(text).expect("a scan")
}

fn is_refused(text: &str) -> bool {
    matches!(Select::parse(text), Err(Error::NotSupported { .. }))
}

#[test]
fn a_scan_is_cut_at_its_clauses() {
    let select = parsed(
        "SELECT tenant_id, \"a b\" FROM howdah_live.t16412 WHERE ((tenant_id = $2::integer)) AND ((name ~~ 'x order by %'::text)) \
         ORDER BY \"a b\" ASC NULLS LAST, (tenant_id + 1) DESC NULLS FIRST",
    );
    assert_eq!(select.relation, Relation::Table(TableOid(16412)));
    assert_eq!(select.columns, ["tenant_id", "a b"]);
    let parameters = vec![None, Some("it's".to_owned())];
    assert_eq!(
        select.condition.as_ref().map(|it| it.render(&parameters)).as_deref(),
        Some("((tenant_id = 'it''s'::integer)) AND ((name ~~ 'x order by %'::text))")
    );
    assert_eq!(select.equalities, [Equality { column: "tenant_id".to_owned(), value: Value::Parameter(1) }]);
    let keys: Vec<_> = select
        .order
        .iter()
        .map(|it| (it.expression.render(&parameters), it.column.clone(), it.direction.clone()))
        .collect();
    assert_eq!(keys[0], ("\"a b\" ".to_owned(), Some("a b".to_owned()), "ASC NULLS LAST".to_owned()));
    assert_eq!(keys[1], ("(tenant_id + 1) ".to_owned(), None, "DESC NULLS FIRST".to_owned()));
}

#[test]
fn no_column_is_one_null() {
    let select = parsed("SELECT NULL FROM howdah_live.t1 FOR UPDATE");
    assert!(select.columns.is_empty());
    assert_eq!(select.locking.as_deref(), Some("FOR UPDATE"));
}

#[test]
fn an_equality_under_or_prunes_nothing() {
    let select = parsed("SELECT a FROM howdah_live.t1 WHERE (((a = 1) OR (b = 2))) AND ((c = (-5)))");
    assert_eq!(
        select.equalities,
        [Equality { column: "c".to_owned(), value: Value::Constant("-5".to_owned()) }]
    );
}

#[test]
fn a_sample_of_analyze() {
    let select = parsed("SELECT a FROM howdah_live.t1 TABLESAMPLE BERNOULLI(12.5)");
    assert_eq!(select.sample.map(|it| it.render(&vec![])).as_deref(), Some("TABLESAMPLE BERNOULLI(12.5)"));
}

#[test]
fn calls_and_probes() {
    assert_eq!(
        parsed("SELECT response FROM howdah_live.call WHERE ((request = '{}'::text))").relation,
        Relation::Call
    );
    assert_eq!(parsed("SELECT gid FROM howdah_live.probe").relation, Relation::Probe);
}

#[test]
fn anything_else_is_refused() {
    for text in [
        "SELECT count(*) FROM howdah_live.t1",
        "SELECT a, count(*) FROM howdah_live.t1 GROUP BY 1",
        "SELECT a FROM howdah_live.t1 LIMIT 1",
        "SELECT a FROM public.events",
        "SELECT a FROM howdah_live.events",
        "SELECT a FROM howdah_live.t1 r1",
        "SELECT a FROM howdah_live.t1, howdah_live.t2",
        "SELECT r1.a FROM (howdah_live.t1 r1 INNER JOIN howdah_live.t2 r2 ON (TRUE))",
        "SELECT a FROM howdah_live.t1 WHERE a = (SELECT 1)",
        "SELECT a FROM howdah_live.t1 WHERE public.f(a)",
        "SELECT a FROM howdah_live.t1; SELECT 1",
        "SELECT a INTO x FROM howdah_live.t1",
        "WITH w AS (SELECT 1) SELECT a FROM howdah_live.t1",
        "SELECT a FROM howdah_live.t1 UNION SELECT 1",
        "SELECT a FROM howdah_live.t1 FOR UPDATE SKIP LOCKED",
        "SELECT a FROM howdah_live.t1 FOR UPDATE NOWAIT",
        "SELECT DISTINCT a FROM howdah_live.t1",
        "SELECT pg_sleep(1) FROM howdah_live.t1",
        "DELETE FROM howdah_live.t1",
        "nonsense",
    ] {
        assert!(is_refused(text), "{text}");
    }
}
