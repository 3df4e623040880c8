use howdah_catalog::{UserFunction, UserOperator};
use howdah_pg::TypeOid;

use super::*;

fn objects() -> UserObjects {
    let mut objects = UserObjects::default();
    let function =
        |volatility, distributed| UserFunction { schema: "public".into(), volatility, distributed };
    objects.functions.insert("pure".into(), vec![function(Volatility::Immutable, true)]);
    objects.functions.insert("absent".into(), vec![function(Volatility::Immutable, false)]);
    objects.functions.insert("reads".into(), vec![function(Volatility::Stable, true)]);
    objects.functions.insert("lower".into(), vec![function(Volatility::Volatile, false)]);
    objects.operators.insert(UserOperator { name: "<#>".into(), left: TypeOid::INT4, right: TypeOid::INT4 });
    objects.operators.insert(UserOperator {
        name: "=".into(),
        left: TypeOid(20_000),
        right: TypeOid(20_000),
    });
    objects
}

fn checked(expression: &str) -> Result<Needs, String> {
    let statement = howdah_sql::parse(&format!("SELECT {expression}")).expect("parses").remove(0);
    check(statement.node().to_ref(), &objects())
}

#[test]
fn the_list_is_read() {
    assert_eq!(builtin("sum").map(|it| it.class), Some(FunctionClass::Aggregate));
    assert_eq!(
        builtin("generate_series"),
        Some(Function { class: FunctionClass::Settings, returns_set: true })
    );
    for never in [
        "pg_advisory_lock",
        "currval",
        "nextval",
        "to_regclass",
        "query_to_xml",
        "has_table_privilege",
        "pg_sleep",
        "txid_current",
        "set_config",
        "pg_typeof",
        "pg_backend_pid",
        "lo_get",
        "current_setting",
    ] {
        assert!(builtin(never).is_none_or(|it| it.class == FunctionClass::Stable), "{never}");
    }
}

#[test]
fn what_workers_may_evaluate() {
    for good in [
        "a + 1",
        "lower2.x",
        "upper(a) || 'x'",
        "trim(both from a)",
        "count(*) filter (where a > 1)",
        "row_number() over (order by a)",
        "a::numeric(10,2)",
        "pg_catalog.upper(a)",
        "extract(year from a)",
        "a at time zone 'UTC'",
        "case when a then 1 end",
        "pure(a)",
        "public.pure(a)",
        "a like 'b%'",
        "current_user",
        "date '2020-01-01'",
        "interval '1 day'",
        "a = any(array[1,2])",
        "a collate \"C\"",
        "j ->> 'a'",
        "x::uuid[]",
    ] {
        assert_eq!(checked(good), Ok(Needs::default()), "{good}");
    }
    for bad in [
        "pg_sleep(1)",
        "nextval('s')",
        "'t'::regclass",
        "absent(a)",
        "reads(a)",
        "lower(a)",
        "public.upper(a)",
        "f(a)",
        "a <#> b",
        "a operator(public.+) b",
        "current_schema",
        "age(a)",
        "x::my_type",
        "a collate \"de\"",
        "(a).b",
        "array(select pg_sleep(1))",
    ] {
        assert!(checked(bad).is_err(), "{bad}");
    }
}

#[test]
fn time_and_chance_are_told() {
    for time in [
        "now()",
        "current_timestamp",
        "localtime(0)",
        "coalesce(a, current_date)",
        "exists (select transaction_timestamp())",
    ] {
        assert_eq!(checked(time), Ok(Needs { time: true, volatile: false }), "{time}");
    }
    for volatile in ["random()", "gen_random_uuid()", "clock_timestamp()"] {
        assert_eq!(checked(volatile), Ok(Needs { time: false, volatile: true }), "{volatile}");
    }
}
