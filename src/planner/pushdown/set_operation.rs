//! UNION, INTERSECT and EXCEPT of queries that every shard group answers for itself.

use howdah_sql::ast::{SelectStmt, SetOperation};

use super::analysis::Analysis;
use super::columns::Facts;
use super::refused::Refused;
use super::relation::{Key, Output, OutputColumn, Shards, Spread};
use super::scope::Scope;

impl Analysis<'_> {
    pub(crate) fn set_operation(&mut self, select: &SelectStmt, with: &Scope<'_>) -> Result<Output, Refused> {
        let (Some(left), Some(right)) = (&select.larg, &select.rarg) else {
            return Err(Refused::new("a set operation is not understood"));
        };
        let (left, right) = (self.query(left, with)?, self.query(right, with)?);
        combine_outputs(select.op(), select.all, left, right)
    }
}

/// Whether UNION, INTERSECT or EXCEPT of per-shard results is the per-shard result.
fn combine_outputs(op: SetOperation, all: bool, left: Output, right: Output) -> Result<Output, Refused> {
    let union = op == SetOperation::SetopUnion;
    let spread = match (left.spread, right.spread) {
        (Spread::Everywhere, Spread::Everywhere) => Spread::Everywhere,
        (Spread::Everywhere | Spread::Local, Spread::Everywhere | Spread::Local) => Spread::Local,
        (Spread::Sharded, Spread::Sharded) => {
            let needs_key = !(union && all);
            if needs_key && !same_key_column(&left, &right) {
                return Err(Refused::new(
                    "the distribution column is not in the same place on both sides of a set operation",
                ));
            }
            Spread::Sharded
        }
        (Spread::Sharded, Spread::Everywhere) if !union && has_key(&left) => Spread::Sharded,
        (Spread::Everywhere, Spread::Sharded) if op == SetOperation::SetopIntersect && has_key(&right) => {
            Spread::Sharded
        }
        _ => return Err(Refused::new("a set operation mixes rows of shards with rows that every shard has")),
    };
    let shards = match op {
        _ if spread != Spread::Sharded => Shards::All,
        SetOperation::SetopUnion => left.shards.or(right.shards),
        SetOperation::SetopIntersect => left.shards.and(right.shards),
        _ => left.shards,
    };
    let both = union || (left.spread, right.spread) == (Spread::Sharded, Spread::Sharded);
    let merge = |(a, b): (OutputColumn, OutputColumn)| OutputColumn {
        name: a.name,
        facts: Facts {
            type_oid: a.facts.type_oid.filter(|it| b.facts.type_oid == Some(*it)),
            portable: a.facts.portable && b.facts.portable,
        },
        key: if both { a.key.min(b.key) } else { a.key.max(b.key) },
    };
    let columns = left.columns.into_iter().zip(right.columns).map(merge).collect();
    Ok(Output { spread, columns, shards })
}

fn has_key(output: &Output) -> bool {
    output.columns.iter().any(|it| it.key == Key::Certain)
}

fn same_key_column(left: &Output, right: &Output) -> bool {
    let both = |(a, b): (&OutputColumn, &OutputColumn)| {
        let certain = a.key == Key::Certain && b.key == Key::Certain;
        certain && a.facts.type_oid.is_some() && a.facts.type_oid == b.facts.type_oid
    };
    left.columns.iter().zip(&right.columns).any(both)
}
