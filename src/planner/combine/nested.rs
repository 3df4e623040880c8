//! Whatever stands above one subquery, or one WITH query, that can be combined: the combine query is the statement itself
//! with the subquery replaced by the subquery's own combine query.
//!
//! PostgreSQL runs all that is above, over exactly the rows of the subquery; so nothing above needs to be
//! understood, but that it reads no other relation.

use howdah_catalog::Catalog;
use howdah_sql::ast::{self, SelectStmt, SetOperation};
use howdah_sql::{Node, NodeEnum, NodeRef, walk};

use super::Parts;
use crate::pushdown::{
    Analysis, IntoNode, Refused, Scope, Spread, Tables, is_limited, name_node, plan_limited, reject_common,
};
use crate::{MultiShard, combine};

/// The plan of a statement above one subquery that spans shards.
pub(crate) fn nested(
    select: &SelectStmt,
    catalog: &Catalog,
    tables: Tables<'_>,
) -> Result<MultiShard, Refused> {
    let mut analysis = Analysis::new(catalog, tables);
    above(select, &mut analysis)?.0.plan(&analysis)
}

/// The parts of any query, and the names of its columns if the combine query gives them others.
fn parts(select: &SelectStmt, analysis: &mut Analysis<'_>) -> Result<(Parts, Vec<String>), Refused> {
    match directly(select, analysis) {
        Ok(parts) => Ok(parts),
        Err(reason) => above(select, analysis).map_err(|_| reason),
    }
}

fn directly(select: &SelectStmt, analysis: &mut Analysis<'_>) -> Result<(Parts, Vec<String>), Refused> {
    reject_common(select)?;
    let outermost = Scope::default();
    let mut with = Scope::inside(&outermost);
    analysis.with_list(select, &mut with)?;
    if !matches!(select.op(), SetOperation::SetopNone | SetOperation::Undefined) {
        return combine::set_operation(analysis, select, &with);
    }
    let block = analysis.block(select, &with)?;
    if block.relation.spread != Spread::Sharded {
        return Err(Refused::new("FROM has no distributed table whose shards could be read one by one"));
    }
    let names = block.targets.iter().map(|it| it.name.clone()).collect();
    let parts = match block.per_shard() {
        // Without a limit it would be all rows of all shards.
        Ok(()) if is_limited(select) => plan_limited(analysis, &block)?,
        Ok(()) => return Err(Refused::new("nothing is left to be combined")),
        Err(_) => combine::block(analysis, &block)?,
    };
    Ok((parts, names))
}

/// Replaces the only subquery.
fn above(select: &SelectStmt, analysis: &mut Analysis<'_>) -> Result<(Parts, Vec<String>), Refused> {
    if !select.locking_clause.is_empty() || select.into_clause.is_some() {
        return Err(not_alone());
    }
    let mut outer = select.clone();
    let mut inner = match from_subquery(&mut outer) {
        Some((alias, query)) => {
            let (inner, names) = parts(query, analysis)?;
            name_columns(&mut alias.colnames, &names);
            *query = inner.combine.clone();
            inner
        }
        None => {
            let (columns, query) = with_query(&mut outer).ok_or_else(not_alone)?;
            let (inner, names) = parts(query, analysis)?;
            name_columns(columns, &names);
            *query = inner.combine.clone();
            inner
        }
    };
    only_reads_intermediate(&outer)?;
    inner.combine = outer;
    // It has its own select list, so that its columns have their names already.
    Ok((inner, Vec::new()))
}

/// `FROM (…) AS alias` and nothing else in FROM, without WITH.
fn from_subquery(outer: &mut SelectStmt) -> Option<(&mut ast::Alias, &mut SelectStmt)> {
    if outer.with_clause.is_some() {
        return None;
    }
    let [from] = outer.from_clause.as_mut_slice() else { return None };
    let Some(NodeEnum::RangeSubselect(from)) = from.node.as_mut() else { return None };
    if from.lateral {
        return None;
    }
    match from.subquery.as_deref_mut()?.node.as_mut()? {
        NodeEnum::SelectStmt(query) => Some((from.alias.as_mut()?, query)),
        _ => None,
    }
}

/// The only query of WITH.
fn with_query(outer: &mut SelectStmt) -> Option<(&mut Vec<Node>, &mut SelectStmt)> {
    let with = outer.with_clause.as_mut().filter(|it| !it.recursive)?;
    let [cte] = with.ctes.as_mut_slice() else { return None };
    let Some(NodeEnum::CommonTableExpr(cte)) = cte.node.as_mut() else { return None };
    match cte.ctequery.as_deref_mut()?.node.as_mut()? {
        NodeEnum::SelectStmt(query) => Some((&mut cte.aliascolnames, query)),
        _ => None,
    }
}

/// Gives columns the names that they had, behind those that the alias names itself.
fn name_columns(written: &mut Vec<Node>, names: &[String]) {
    let more: Vec<Node> = names.iter().skip(written.len()).map(|it| name_node(it)).collect();
    written.extend(more);
}

/// Any relation but the intermediate one would be looked up on the coordinator, or is a WITH query.
fn only_reads_intermediate(outer: &SelectStmt) -> Result<(), Refused> {
    let cte = outer.with_clause.iter().flat_map(|it| &it.ctes).find_map(|it| match it.node.as_ref() {
        Some(NodeEnum::CommonTableExpr(it)) => Some(it.ctename.as_str()),
        _ => None,
    });
    let node = NodeEnum::SelectStmt(Box::new(outer.clone())).into_node();
    let Some(node) = node.node.as_ref() else { return Err(not_alone()) };
    let mut alone = true;
    let known = walk(node.to_ref(), &mut |it| {
        if let NodeRef::RangeVar(range) = it {
            let name = range.relname.as_str();
            alone &= range.schemaname.is_empty() && (name == "howdah_intermediate" || Some(name) == cte);
        }
    });
    match known.is_ok() && alone {
        true => Ok(()),
        false => Err(not_alone()),
    }
}

fn not_alone() -> Refused {
    Refused::new("more than one subquery would have to be combined")
}
