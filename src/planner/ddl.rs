//! What DDL and maintenance commands ask of nodes other than the coordinator.
//!
//! Most of DDL is not here: the coordinator's PostgreSQL runs the client's text, and its event triggers bring the
//! shards of a distributed table to the same shape in the same transaction. Here is what they cannot do: objects that
//! all nodes have (roles, schemas, types, functions, …), commands that no event trigger sees (VACUUM, LOCK, ALTER
//! SYSTEM), and an ALTER TABLE whose expressions only its text has.

mod all_nodes;
mod per_shard;

use std::collections::{BTreeMap, BTreeSet};

use howdah_catalog::{Catalog, Column, GroupId, Table, TableOid};
use howdah_sql::ast::{AlterTableStmt, AlterTableType, ClusterStmt, IndexStmt, Node, RangeVar, ReindexStmt};
use howdah_sql::{Kind, NodeEnum, NodeRef, RelationName, Statement};

use crate::Error;

use self::all_nodes::on_all_nodes;

/// What to do beside running the statement on the coordinator.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ddl {
    /// Nothing.
    Coordinator,
    /// The workers run this text first, in the same transaction.
    AllNodes { text: String, object: Object },
    /// `howdah.announce_type_change` for this table goes first, with the USING expression of each column that has one.
    TypeChange { table: RelationName, conversions: BTreeMap<String, String> },
    /// Each worker runs its text afterwards: in the transaction if there is a block, else by itself.
    PerWorker { texts: BTreeMap<GroupId, String> },
    /// The coordinator has begun an index; afterwards the router builds it on each shard.
    IndexBuild,
    /// Each shard of this table or index needs the statement afterwards, see [`for_shard`].
    Maintenance { object: RelationName },
    /// `howdah.check_block` looks at this body of a DO block first: it has a word that live tables know nothing of.
    Block { body: String },
    /// All workers run the text afterwards, outside of any transaction.
    Configuration { text: String },
}

/// What a worker may lack without harm.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Object {
    /// Roles, schemas, types: what shards depend on. A worker that lacks what the statement names is passed over: the
    /// coordinator's own answer is the right one.
    Needed,
    /// Functions and the like, which may speak of tables that only the coordinator has.
    Optional,
}

/// Whether the statement is more than the coordinator's own affair, or must be one transaction with what event triggers do.
pub fn concerns_all_nodes(statement: &Statement) -> bool {
    match statement.kind() {
        Kind::Ddl
        | Kind::AlterSystem
        | Kind::Vacuum
        | Kind::Analyze
        | Kind::Truncate
        | Kind::Cluster
        | Kind::Reindex => true,
        Kind::Select => reloads_configuration(statement),
        Kind::Do => guarded_body(statement).is_some(),
        _ => false,
    }
}

/// Whether PostgreSQL refuses the statement inside of a transaction block.
pub fn runs_alone(statement: &Statement) -> bool {
    match statement.node() {
        NodeEnum::VacuumStmt(it) => it.is_vacuumcmd,
        NodeEnum::IndexStmt(it) => it.concurrent,
        NodeEnum::DropStmt(it) => it.concurrent,
        NodeEnum::AlterSystemStmt(_)
        | NodeEnum::CreatedbStmt(_)
        | NodeEnum::DropdbStmt(_)
        | NodeEnum::AlterDatabaseStmt(_)
        | NodeEnum::CreateTableSpaceStmt(_)
        | NodeEnum::DropTableSpaceStmt(_)
        | NodeEnum::CreateSubscriptionStmt(_)
        | NodeEnum::AlterSubscriptionStmt(_)
        | NodeEnum::DropSubscriptionStmt(_)
        | NodeEnum::ReindexStmt(_)
        | NodeEnum::ClusterStmt(_) => true,
        _ => false,
    }
}

/// The relations for which [`ddl`] wants to know whether they are distributed.
pub fn ddl_relations(statement: &Statement) -> BTreeSet<RelationName> {
    let one = |it: &Option<RangeVar>| it.iter().map(RelationName::of).collect();
    match statement.node() {
        NodeEnum::IndexStmt(it) if it.concurrent => one(&it.relation),
        NodeEnum::AlterTableStmt(it) if type_change(it).is_some() => one(&it.relation),
        NodeEnum::VacuumStmt(it) => {
            it.rels.iter().filter_map(per_shard::vacuumed).map(|it| RelationName::of(&it)).collect()
        }
        NodeEnum::LockStmt(it) => {
            it.relations.iter().filter_map(per_shard::locked).map(|it| RelationName::of(&it)).collect()
        }
        _ => BTreeSet::new(),
    }
}

/// What the statement asks of other nodes. `tables` are those of [`ddl_relations`] that are distributed or reference tables.
pub fn ddl(
    statement: &Statement,
    catalog: &Catalog,
    tables: &BTreeMap<RelationName, TableOid>,
) -> Result<Ddl, Error> {
    match statement.node() {
        NodeEnum::IndexStmt(it) if it.concurrent && tables.is_empty() => Ok(Ddl::Coordinator),
        NodeEnum::IndexStmt(it) if it.concurrent => {
            tables
                .values()
                .filter_map(|it| catalog.table(*it))
                .try_for_each(|table| check_unique(it, table))?;
            Ok(Ddl::IndexBuild)
        }
        NodeEnum::ClusterStmt(ClusterStmt { relation, .. })
        | NodeEnum::ReindexStmt(ReindexStmt { relation, .. }) => Ok(match relation {
            Some(relation) => Ddl::Maintenance { object: RelationName::of(relation) },
            None => Ddl::PerWorker { texts: per_shard::on_every_worker(statement.text(), catalog) },
        }),
        NodeEnum::AlterTableStmt(it) if !tables.is_empty() => Ok(type_change(it).unwrap_or(Ddl::Coordinator)),
        NodeEnum::VacuumStmt(it) if it.rels.is_empty() => {
            Ok(Ddl::PerWorker { texts: per_shard::on_every_worker(statement.text(), catalog) })
        }
        NodeEnum::VacuumStmt(it) => Ok(per_shard::vacuum(it, catalog, tables)),
        NodeEnum::LockStmt(it) => Ok(per_shard::lock(it, catalog, tables)),
        NodeEnum::DoStmt(_) => {
            Ok(guarded_body(statement).map_or(Ddl::Coordinator, |body| Ddl::Block { body }))
        }
        NodeEnum::AlterSystemStmt(_) => Ok(Ddl::Configuration { text: statement.text().to_owned() }),
        NodeEnum::SelectStmt(_) if reloads_configuration(statement) => {
            Ok(Ddl::Configuration { text: "SELECT pg_catalog.pg_reload_conf()".to_owned() })
        }
        _ => Ok(on_all_nodes(statement)),
    }
}

/// The body of a DO block that has one of the words for which `howdah.lost_construct` looks.
fn guarded_body(statement: &Statement) -> Option<String> {
    const WORDS: [&str; 6] = ["skip", "nowait", "tablesample", "only", "lock", "copy"];
    let NodeEnum::DoStmt(block) = statement.node() else { return None };
    let bodies = block.args.iter().filter_map(|it| match it.node.as_ref() {
        Some(NodeEnum::DefElem(part)) if part.defname == "as" => match part.arg.as_ref()?.node.as_ref() {
            Some(NodeEnum::String(body)) => Some(body.sval.clone()),
            _ => None,
        },
        _ => None,
    });
    let body: String = bodies.collect();
    let lower = body.to_ascii_lowercase();
    WORDS.iter().any(|it| lower.contains(it)).then_some(body)
}

/// The coordinator would refuse it only when the index is made.
fn check_unique(index: &IndexStmt, table: &Table) -> Result<(), Error> {
    let names = |column: &Column, it: &Node| matches!(it.node.as_ref(), Some(NodeEnum::IndexElem(it)) if it.name == column.name);
    match table.distribution_column() {
        Some(column) if index.unique && !index.index_params.iter().any(|it| names(column, it)) => {
            Err(Error::Unsupported(format!(
                "cannot create a unique index on \"{}\" without its distribution column \"{}\"",
                table.name, column.name
            )))
        }
        _ => Ok(()),
    }
}

/// The text of CLUSTER or REINDEX for one shard of a table, or of an index. `clustered` is the index that CLUSTER goes by.
pub fn for_shard(statement: &Statement, schema: &str, name: &str, clustered: Option<&str>) -> Option<String> {
    let shard = |range: &RangeVar| RangeVar {
        catalogname: String::new(),
        schemaname: schema.to_owned(),
        relname: name.to_owned(),
        ..range.clone()
    };
    deparse(&match statement.node() {
        NodeEnum::ReindexStmt(it) => {
            let relation = it.relation.as_ref().map(shard);
            NodeEnum::ReindexStmt(ReindexStmt { relation, ..it.clone() })
        }
        NodeEnum::ClusterStmt(it) => {
            let relation = it.relation.as_ref().map(shard);
            let indexname = clustered.unwrap_or_default().to_owned();
            NodeEnum::ClusterStmt(ClusterStmt { relation, indexname, ..it.clone() })
        }
        _ => return None,
    })
}

/// `ALTER TABLE … ALTER COLUMN … TYPE … [USING …]`.
fn type_change(statement: &AlterTableStmt) -> Option<Ddl> {
    let commands = statement.cmds.iter().filter_map(|it| match it.node.as_ref() {
        Some(NodeEnum::AlterTableCmd(it)) if it.subtype() == AlterTableType::AtAlterColumnType => Some(it),
        _ => None,
    });
    let mut conversions = BTreeMap::new();
    let mut changes = false;
    for command in commands {
        changes = true;
        if let Some(NodeEnum::ColumnDef(definition)) = command.def.as_ref().and_then(|it| it.node.as_ref())
            && let Some(using) = &definition.raw_default
        {
            conversions.insert(command.name.clone(), deparse_expression(using)?);
        }
    }
    let table = RelationName::of(statement.relation.as_ref()?);
    changes.then_some(Ddl::TypeChange { table, conversions })
}

/// An expression by itself, as the only column of a SELECT.
pub(crate) fn deparse_expression(expression: &Node) -> Option<String> {
    let mut select = howdah_sql::parse("SELECT 1").ok()?.pop()?.node().clone();
    let NodeEnum::SelectStmt(query) = &mut select else { return None };
    let Some(NodeEnum::ResTarget(target)) = query.target_list.first_mut().and_then(|it| it.node.as_mut())
    else {
        return None;
    };
    target.val = Some(Box::new(expression.clone()));
    Some(deparse(&select)?.strip_prefix("SELECT ")?.to_owned())
}

fn deparse(node: &NodeEnum) -> Option<String> {
    node.deparse(Default::default()).ok()
}

fn reloads_configuration(statement: &Statement) -> bool {
    let mut found = false;
    let known = howdah_sql::walk(statement.node().to_ref(), &mut |node| {
        if let NodeRef::FuncCall(call) = node {
            found |= howdah_sql::names(&call.funcname).last() == Some(&"pg_reload_conf");
        }
    });
    known.is_ok() && found
}

#[cfg(test)]
mod tests;
