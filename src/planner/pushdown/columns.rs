//! The columns that the relations of one statement have, numbered through the whole statement.

use std::collections::BTreeSet;

use howdah_catalog::{Column, TypeOid};

/// A column of a table, subquery or join somewhere in the statement. Joins and aliases pass columns through: two
/// names of one value are one `Var`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Var(u32);

pub(crate) type Vars = BTreeSet<Var>;

/// What is known of a column besides its name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Facts {
    /// `None` where it was not derived.
    pub(crate) type_oid: Option<TypeOid>,
    /// Whether values mean on another server, as values of a query there, what they mean here: they are of no
    /// user's type, and compare under no other collation than the database's.
    pub(crate) portable: bool,
}

/// Worker queries never hold it: see `template.rs`.
pub(crate) const CANONICAL: char = '\u{1}';

/// Every [`Var`] of one statement.
#[derive(Debug, Default)]
pub(crate) struct Columns(Vec<Facts>);

impl Columns {
    pub(crate) fn add(&mut self, facts: Facts) -> Var {
        self.0.push(facts);
        Var(self.0.len() as u32 - 1)
    }

    pub(crate) fn facts(&self, var: Var) -> &Facts {
        &self.0[var.0 as usize]
    }

    /// Whether `a = b` makes the two values interchangeable and both hash alike, whatever else they are equal to.
    pub(crate) fn comparable(&self, a: Var, b: Var) -> bool {
        let family = |it: Var| self.facts(it).type_oid.and_then(equality_family);
        family(a).is_some() && family(a) == family(b)
    }
}

impl Var {
    /// A name for it that no statement writes, for comparing expressions.
    pub(crate) fn canonical_name(self) -> String {
        format!("{CANONICAL}{}", self.0)
    }

    pub(crate) fn from_canonical_name(name: &str) -> Option<Self> {
        name.strip_prefix(CANONICAL)?.parse().ok().map(Self)
    }
}

impl Facts {
    pub(crate) fn of(column: &Column) -> Self {
        let default = |it: &howdah_catalog::Collation| it.schema == "pg_catalog" && it.name == "default";
        let portable = column.collation.as_ref().is_none_or(default) && !column.type_oid.is_user_defined();
        Self { type_oid: Some(column.type_oid), portable }
    }

    /// A value of a built-in type of which no more is known.
    pub(crate) fn unknown() -> Self {
        Self { type_oid: None, portable: true }
    }
}

/// Types whose values compare equal across types without loss, so that equality stays transitive.
fn equality_family(oid: TypeOid) -> Option<u32> {
    match oid {
        TypeOid::INT2 | TypeOid::INT4 | TypeOid::INT8 => Some(TypeOid::INT8.0),
        TypeOid::TEXT | TypeOid::VARCHAR => Some(TypeOid::TEXT.0),
        other => Some(other.0),
    }
}
