//! PostgreSQL's own aggregates, set-returning and transaction-time functions, by name.

use howdah_sql::NodeEnum;
use howdah_sql::ast;

use super::expression::builtin_name;

/// The built-in aggregate that a call is, unless it is used as a window function.
pub(crate) fn aggregate(node: &NodeEnum) -> Option<(&ast::FuncCall, &str)> {
    match node {
        NodeEnum::FuncCall(it) if it.over.is_none() => {
            let name = builtin_name(&it.funcname).filter(|it| AGGREGATES.contains(it))?;
            Some((it, name))
        }
        _ => None,
    }
}

pub(crate) fn is_aggregate(node: &NodeEnum) -> bool {
    aggregate(node).is_some()
}

pub(crate) fn is_window(node: &NodeEnum) -> bool {
    matches!(node, NodeEnum::FuncCall(it) if it.over.is_some())
}

pub(crate) fn returns_set(node: &NodeEnum) -> bool {
    match node {
        NodeEnum::FuncCall(it) => builtin_name(&it.funcname).is_some_and(|it| SET_RETURNING.contains(&it)),
        _ => false,
    }
}

/// Whether an aggregate's result does not depend on the order of its input.
pub(crate) fn ignores_order(name: &str) -> bool {
    REDUCING.contains(&name)
}

const REDUCING: &[&str] =
    &["count", "sum", "avg", "min", "max", "bool_and", "bool_or", "every", "bit_and", "bit_or", "bit_xor"];

/// `SELECT DISTINCT proname FROM pg_proc WHERE prokind = 'a'`, PostgreSQL 18 and before.
const AGGREGATES: &[&str] = &[
    "any_value",
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "cume_dist",
    "dense_rank",
    "every",
    "json_agg",
    "json_agg_strict",
    "json_object_agg",
    "json_object_agg_strict",
    "json_object_agg_unique",
    "json_object_agg_unique_strict",
    "jsonb_agg",
    "jsonb_agg_strict",
    "jsonb_object_agg",
    "jsonb_object_agg_strict",
    "jsonb_object_agg_unique",
    "jsonb_object_agg_unique_strict",
    "max",
    "min",
    "mode",
    "percent_rank",
    "percentile_cont",
    "percentile_disc",
    "range_agg",
    "range_intersect_agg",
    "rank",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "string_agg",
    "sum",
    "var_pop",
    "var_samp",
    "variance",
    "xmlagg",
];

/// Those of `pg_proc.proretset` that an ordinary query calls; others are on no list of functions for workers.
const SET_RETURNING: &[&str] = &[
    "generate_series",
    "generate_subscripts",
    "unnest",
    "json_array_elements",
    "json_array_elements_text",
    "json_each",
    "json_each_text",
    "json_object_keys",
    "json_populate_recordset",
    "json_to_recordset",
    "jsonb_array_elements",
    "jsonb_array_elements_text",
    "jsonb_each",
    "jsonb_each_text",
    "jsonb_object_keys",
    "jsonb_path_query",
    "jsonb_path_query_tz",
    "jsonb_populate_recordset",
    "jsonb_to_recordset",
    "regexp_matches",
    "regexp_split_to_table",
    "string_to_table",
    "ts_stat",
    "ts_debug",
    "ts_parse",
];
