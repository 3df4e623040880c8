//! Commands that every shard of a table needs: VACUUM, ANALYZE, LOCK.

use std::collections::BTreeMap;

use howdah_catalog::{Catalog, Distribution, GroupId, ShardId, Table, TableOid};
use howdah_sql::ast::{LockStmt, Node, RangeVar, VacuumRelation, VacuumStmt};
use howdah_sql::{NodeEnum, RelationName};

use super::{Ddl, deparse};

/// The statement as it is, for each worker.
pub(super) fn on_every_worker(text: &str, catalog: &Catalog) -> BTreeMap<GroupId, String> {
    catalog.workers().filter(|it| it.active).map(|it| (it.group, text.to_owned())).collect()
}

pub(super) fn vacuum(
    statement: &VacuumStmt,
    catalog: &Catalog,
    tables: &BTreeMap<RelationName, TableOid>,
) -> Ddl {
    let of_shard = |it: &Node, shard: RangeVar| match it.node.as_ref() {
        Some(NodeEnum::VacuumRelation(it)) => {
            let relation = VacuumRelation { relation: Some(shard), ..VacuumRelation::clone(it) };
            Some(NodeEnum::VacuumRelation(relation))
        }
        _ => None,
    };
    per_worker(&statement.rels, catalog, tables, vacuumed, of_shard, |rels| {
        NodeEnum::VacuumStmt(VacuumStmt { rels, ..statement.clone() })
    })
}

pub(super) fn lock(
    statement: &LockStmt,
    catalog: &Catalog,
    tables: &BTreeMap<RelationName, TableOid>,
) -> Ddl {
    let of_shard = |_: &Node, shard: RangeVar| Some(NodeEnum::RangeVar(shard));
    per_worker(&statement.relations, catalog, tables, locked, of_shard, |relations| {
        NodeEnum::LockStmt(LockStmt { relations, ..statement.clone() })
    })
}

pub(super) fn vacuumed(item: &Node) -> Option<RangeVar> {
    match item.node.as_ref() {
        Some(NodeEnum::VacuumRelation(it)) => it.relation.clone(),
        _ => None,
    }
}

pub(super) fn locked(item: &Node) -> Option<RangeVar> {
    match item.node.as_ref() {
        Some(NodeEnum::RangeVar(it)) => Some(it.clone()),
        _ => None,
    }
}

/// The statement once per worker, each relation of it replaced by that worker's shards.
fn per_worker(
    relations: &[Node],
    catalog: &Catalog,
    tables: &BTreeMap<RelationName, TableOid>,
    relation_of: impl Fn(&Node) -> Option<RangeVar>,
    of_shard: impl Fn(&Node, RangeVar) -> Option<NodeEnum>,
    statement: impl Fn(Vec<Node>) -> NodeEnum,
) -> Ddl {
    let mut shards: BTreeMap<GroupId, Vec<Node>> = BTreeMap::new();
    for written in relations {
        let Some(range) = relation_of(written) else { continue };
        let oid = tables.get(&RelationName::of(&range));
        let Some(table) = oid.and_then(|it| catalog.table(*it)) else { continue };
        for (group, shard) in placements(table) {
            let schemaname = table.schema.clone();
            let shard = RangeVar { schemaname, relname: table.shard_name(shard), ..range.clone() };
            if let Some(node) = of_shard(written, shard) {
                shards.entry(group).or_default().push(Node { node: Some(node) });
            }
        }
    }
    let texts = shards.into_iter().filter_map(|(group, nodes)| Some((group, deparse(&statement(nodes))?)));
    match texts.collect::<BTreeMap<_, _>>() {
        texts if texts.is_empty() => Ddl::Coordinator,
        texts => Ddl::PerWorker { texts },
    }
}

/// The shards of a table and the workers they are on.
fn placements(table: &Table) -> Vec<(GroupId, ShardId)> {
    match &table.distribution {
        Distribution::Hash { shards, .. } => shards.iter().map(|it| (it.group, it.id)).collect(),
        Distribution::Reference { shard, groups, .. } => {
            groups.iter().filter(|it| **it != GroupId::COORDINATOR).map(|it| (*it, *shard)).collect()
        }
    }
}
