//! How the rows of a relation are spread over the shard groups, and what joins make of it.

use std::collections::BTreeSet;

use super::columns::{Columns, Facts, Var, Vars};
use super::refused::Refused;

/// Where the rows of a relation come from, seen from a worker query that runs once per shard group.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Spread {
    /// No distributed table: every shard group gives all rows.
    Everywhere,
    /// Depends on an outer row, and reads only the shard group where that row is: there it gives all its rows.
    Local,
    /// Every shard group gives its own part; the whole is all the parts, with duplicates.
    Sharded,
}

/// A relation within one statement.
#[derive(Clone, Debug)]
pub(crate) struct Relation {
    pub(crate) spread: Spread,
    /// Columns that are never NULL and hash to the shard group of their row: equal values are in one shard group.
    pub(crate) keys: Vars,
    /// The same, but NULL is possible, anywhere.
    pub(crate) nullable_keys: Vars,
    /// All of its columns.
    pub(crate) own: Vars,
    pub(crate) shards: Shards,
}

/// The shard groups that can have rows.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) enum Shards {
    #[default]
    All,
    Some(BTreeSet<usize>),
}

/// The result of a query, by output column.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    pub(crate) spread: Spread,
    pub(crate) columns: Vec<OutputColumn>,
    pub(crate) shards: Shards,
}

#[derive(Clone, Debug)]
pub(crate) struct OutputColumn {
    pub(crate) name: String,
    pub(crate) facts: Facts,
    pub(crate) key: Key,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Key {
    No,
    Nullable,
    Certain,
}

/// What is known to hold for the rows that survive.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conditions {
    pub(crate) equal: Vec<(Var, Var)>,
    /// The shards that a column's allowed values hash to, if the column is a key.
    pub(crate) within: Vec<(Var, BTreeSet<usize>)>,
}

/// A FROM list: what is joined, and how.
#[derive(Clone, Debug)]
pub(crate) enum Tree {
    Leaf(Relation),
    Inner {
        items: Vec<Tree>,
        on: Conditions,
    },
    /// Every row of the first is kept.
    Left {
        kept: Box<Tree>,
        optional: Box<Tree>,
        on: Conditions,
    },
    /// `merged`: columns of USING as (left, right, merged).
    Full {
        left: Box<Tree>,
        right: Box<Tree>,
        on: Conditions,
        merged: Vec<(Var, Var, Var)>,
    },
}

impl Shards {
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, it) | (it, Self::All) => it,
            (Self::Some(a), Self::Some(b)) => Self::Some(&a & &b),
        }
    }

    pub(crate) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, _) | (_, Self::All) => Self::All,
            (Self::Some(a), Self::Some(b)) => Self::Some(&a | &b),
        }
    }
}

impl Relation {
    pub(crate) fn everywhere() -> Self {
        Self {
            spread: Spread::Everywhere,
            keys: Vars::new(),
            nullable_keys: Vars::new(),
            own: Vars::new(),
            shards: Shards::All,
        }
    }

    pub(crate) fn is_sharded(&self) -> bool {
        self.spread == Spread::Sharded
    }

    pub(crate) fn all_keys(&self) -> Vars {
        &self.keys | &self.nullable_keys
    }

    /// The relation of a subquery in FROM, with fresh columns.
    pub(crate) fn of_output(output: &Output, columns: &mut Columns) -> (Self, Vec<(String, Var)>) {
        let mut relation =
            Self { spread: output.spread, shards: output.shards.clone(), ..Self::everywhere() };
        let mut named = Vec::with_capacity(output.columns.len());
        for column in &output.columns {
            let var = columns.add(column.facts.clone());
            relation.own.insert(var);
            match column.key {
                Key::Certain => drop(relation.keys.insert(var)),
                Key::Nullable => drop(relation.nullable_keys.insert(var)),
                Key::No => {}
            }
            named.push((column.name.clone(), var));
        }
        (relation, named)
    }

    pub(crate) fn key(&self, var: Var) -> Key {
        match (self.keys.contains(&var), self.nullable_keys.contains(&var)) {
            (true, _) => Key::Certain,
            (_, true) => Key::Nullable,
            _ => Key::No,
        }
    }

    /// Only its own columns: what equalities say of others may not hold for all of its rows.
    fn own_keys(&self) -> Vars {
        &self.all_keys() & &self.own
    }
}

impl Conditions {
    pub(crate) fn extend(&mut self, other: &Self) {
        self.equal.extend_from_slice(&other.equal);
        self.within.extend_from_slice(&other.within);
    }
}

impl Tree {
    /// Keys of the rows of every leaf, which may be NULL where the leaf is optional.
    pub(crate) fn leaf_keys(&self) -> Vars {
        match self {
            Self::Leaf(it) => it.all_keys(),
            Self::Inner { items, .. } => items.iter().flat_map(Self::leaf_keys).collect(),
            Self::Left { kept, optional, .. } => &kept.leaf_keys() | &optional.leaf_keys(),
            Self::Full { left, right, .. } => &left.leaf_keys() | &right.leaf_keys(),
        }
    }

    /// Keys of the leaves that no join has made optional.
    pub(crate) fn certain_leaf_keys(&self) -> Vars {
        match self {
            Self::Leaf(it) => it.keys.clone(),
            Self::Inner { items, .. } => items.iter().flat_map(Self::certain_leaf_keys).collect(),
            Self::Left { kept, .. } => kept.certain_leaf_keys(),
            Self::Full { .. } => Vars::new(),
        }
    }

    /// What the whole is, for rows that satisfy `holds`. `outer`: keys of the rows around this query.
    pub(crate) fn relation(&self, holds: &Conditions, outer: &Vars) -> Result<Relation, Refused> {
        let mut items = Vec::new();
        let mut conditions = holds.clone();
        self.flatten(&mut items, &mut conditions);
        let relations: Vec<Relation> =
            items.into_iter().map(|it| it.item(&conditions, outer)).collect::<Result<_, _>>()?;
        join_inner(relations, &conditions, outer)
    }

    fn flatten<'t>(&'t self, into: &mut Vec<&'t Self>, conditions: &mut Conditions) {
        match self {
            Self::Inner { items, on } => {
                conditions.extend(on);
                items.iter().for_each(|it| it.flatten(into, conditions));
            }
            other => into.push(other),
        }
    }

    /// A leaf, or an outer join. `holds` may be assumed of the final rows, so also of the kept side of a left
    /// join: rows of it that do not satisfy it can only lead to rows that are dropped later.
    fn item(&self, holds: &Conditions, outer: &Vars) -> Result<Relation, Refused> {
        match self {
            Self::Leaf(it) => Ok(it.clone()),
            Self::Inner { .. } => self.relation(holds, outer),
            Self::Left { kept, optional, on } => {
                let kept = kept.relation(holds, outer)?;
                let optional = optional.relation(on, outer)?;
                join_left(&kept, &optional, on)
            }
            Self::Full { left, right, on, merged } => {
                let none = Conditions::default();
                let (left, right) = (left.relation(&none, outer)?, right.relation(&none, outer)?);
                join_full(left, right, on, merged)
            }
        }
    }
}

/// Inner joins of any number of relations. Rows of different shard groups never meet, because all sharded
/// relations are connected by equalities of their keys.
fn join_inner(relations: Vec<Relation>, holds: &Conditions, outer: &Vars) -> Result<Relation, Refused> {
    let classes = Classes::new(&holds.equal);
    let sharded: Vec<Vars> = relations.iter().filter(|it| it.is_sharded()).map(Relation::all_keys).collect();
    let mut joined = Relation::everywhere();
    joined.spread = match classes.connection(&sharded, outer)? {
        Connection::Nothing if relations.iter().any(|it| it.spread == Spread::Local) => Spread::Local,
        Connection::Nothing => Spread::Everywhere,
        Connection::ToOuter => Spread::Local,
        Connection::Together => Spread::Sharded,
    };
    for relation in relations {
        joined.keys.extend(relation.keys);
        joined.nullable_keys.extend(relation.nullable_keys);
        joined.own.extend(relation.own);
        if relation.spread == Spread::Sharded {
            joined.shards = joined.shards.and(relation.shards);
        }
    }
    // What is equal to a key is one, and not NULL.
    let all = joined.all_keys();
    joined.keys.extend(&classes.with_any_of(&all) & &joined.own);
    joined.nullable_keys = &joined.nullable_keys - &joined.keys;
    for (var, shards) in &holds.within {
        if joined.keys.contains(var) || joined.nullable_keys.contains(var) {
            joined.shards = joined.shards.and(Shards::Some(shards.clone()));
        }
    }
    Ok(joined)
}

fn join_left(kept: &Relation, optional: &Relation, on: &Conditions) -> Result<Relation, Refused> {
    match (kept.spread, optional.spread) {
        (Spread::Everywhere | Spread::Local, Spread::Sharded) => {
            return Err(Refused::new(
                "an outer join keeps all rows of a relation that every shard has, so that each shard would repeat them",
            ));
        }
        (Spread::Sharded, Spread::Sharded) => require_key_join(kept, optional, on)?,
        _ => {}
    }
    let spread = match (kept.spread, optional.spread) {
        (Spread::Everywhere, Spread::Local) => Spread::Local,
        (kept, _) => kept,
    };
    let keys = &kept.keys & &kept.own;
    let nullable_keys = &(&kept.own_keys() - &keys) | &optional.own_keys();
    let own = &kept.own | &optional.own;
    Ok(Relation { spread, keys, nullable_keys, own, shards: kept.shards.clone() })
}

fn join_full(
    left: Relation,
    right: Relation,
    on: &Conditions,
    merged: &[(Var, Var, Var)],
) -> Result<Relation, Refused> {
    match (left.spread, right.spread) {
        (Spread::Sharded, Spread::Sharded) => require_key_join(&left, &right, on)?,
        (Spread::Sharded, _) | (_, Spread::Sharded) => {
            return Err(Refused::new("a full join keeps all rows of a relation that every shard has"));
        }
        _ => {}
    }
    let spread = match (left.spread, right.spread) {
        (Spread::Everywhere, it) | (it, _) => it,
    };
    let of_keys = |it: &&(Var, Var, Var)| left.keys.contains(&it.0) && right.keys.contains(&it.1);
    let keys: Vars = merged.iter().filter(of_keys).map(|it| it.2).collect();
    let nullable_keys = &left.own_keys() | &right.own_keys();
    let own = &(&left.own | &right.own) | &merged.iter().map(|it| it.2).collect();
    let shards = left.shards.or(right.shards);
    Ok(Relation { spread, keys, nullable_keys, own, shards })
}

fn require_key_join(a: &Relation, b: &Relation, on: &Conditions) -> Result<(), Refused> {
    let classes = Classes::new(&on.equal);
    classes.connection(&[a.own_keys(), b.own_keys()], &Vars::new()).map(drop)
}

/// Columns that equalities make equal.
struct Classes(Vec<Vars>);

enum Connection {
    /// There is no sharded relation.
    Nothing,
    Together,
    ToOuter,
}

impl Classes {
    fn new(equal: &[(Var, Var)]) -> Self {
        let mut classes: Vec<Vars> = Vec::new();
        for &(a, b) in equal {
            let (mut merged, others): (Vec<Vars>, Vec<Vars>) =
                classes.into_iter().partition(|it| it.contains(&a) || it.contains(&b));
            merged.push(Vars::from([a, b]));
            classes = others;
            classes.push(merged.into_iter().flatten().collect());
        }
        Self(classes)
    }

    fn with_any_of(&self, keys: &Vars) -> Vars {
        self.0.iter().filter(|it| !it.is_disjoint(keys)).flatten().copied().collect()
    }

    /// How relations with these keys are connected, among each other and with the rows around.
    fn connection(&self, sharded: &[Vars], outer: &Vars) -> Result<Connection, Refused> {
        match sharded {
            [] => Ok(Connection::Nothing),
            all if self.reaches_all(outer, all) => Ok(Connection::ToOuter),
            [first, rest @ ..] if self.reaches_all(first, rest) => Ok(Connection::Together),
            _ => Err(Refused::new(
                "distributed tables are joined on other columns than their distribution columns",
            )),
        }
    }

    /// Whether equalities lead from some columns to all relations, directly or over each other.
    fn reaches_all(&self, from: &Vars, relations: &[Vars]) -> bool {
        let mut reached = from.clone();
        let mut rest: Vec<&Vars> = relations.iter().collect();
        while !rest.is_empty() {
            reached.extend(self.with_any_of(&reached));
            let (near, far): (Vec<&Vars>, Vec<&Vars>) = rest.iter().partition(|it| !it.is_disjoint(&reached));
            if near.is_empty() {
                return false;
            }
            reached.extend(near.into_iter().flatten());
            rest = far;
        }
        true
    }
}
