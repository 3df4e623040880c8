//! Objects of users and extensions that change what a statement means or where it may run.

use std::collections::{BTreeMap, BTreeSet};

use howdah_pg::TypeOid;

/// What is not PostgreSQL's own, by bare name: a statement's `f(…)` or `+` may mean any of these, whatever
/// the search path. Absent from here and from PostgreSQL's own means that the name cannot resolve.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UserObjects {
    /// All overloads in all schemas, by bare name.
    pub functions: BTreeMap<String, Vec<UserFunction>>,
    pub operators: BTreeSet<UserOperator>,
    pub types: BTreeMap<TypeOid, UserType>,
    /// Whether anybody made a cast: then no implicit conversion is certain.
    pub casts: bool,
    /// Settings with a dot in their name that functions speak of. PostgreSQL keeps such, and does not list them.
    pub custom_settings: Vec<String>,
}

impl UserObjects {
    /// Every user function that `name` could call.
    pub fn functions_named(&self, name: &str) -> &[UserFunction] {
        self.functions.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether a user's operator has this bare name (`+`, `<->`), whatever its operands.
    pub fn has_operator_named(&self, name: &str) -> bool {
        self.operators_named(name).next().is_some()
    }

    /// Every user operator of this bare name.
    pub fn operators_named<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s UserOperator> {
        self.operators.iter().filter(move |it| it.name == name)
    }

    /// Whether the binary form of a value may hold OIDs that differ between nodes.
    pub fn embeds_oids(&self, type_oid: TypeOid) -> bool {
        match type_oid {
            TypeOid::RECORD | TypeOid::RECORD_ARRAY => true,
            it if !it.is_user_defined() => false,
            // Those of tables' rows are not listed.
            _ => self.types.get(&type_oid).is_none_or(|it| it.embeds_oids),
        }
    }

    /// Whether a user's type has this bare name.
    pub fn has_type_named(&self, name: &str) -> bool {
        self.types.values().any(|it| it.name == name)
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UserFunction {
    pub schema: String,
    pub volatility: Volatility,
    /// Whether the workers have it as well.
    pub distributed: bool,
}

/// An operator by its operand types, zero ([`TypeOid::UNSPECIFIED`]) for the operand that a unary one lacks.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct UserOperator {
    pub name: String,
    pub left: TypeOid,
    pub right: TypeOid,
}

/// `pg_proc.provolatile`, from the most to the least predictable.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Volatility {
    Immutable,
    Stable,
    Volatile,
}

impl Volatility {
    /// From `provolatile`.
    pub fn from_char(letter: char) -> Option<Self> {
        match letter {
            'i' => Some(Self::Immutable),
            's' => Some(Self::Stable),
            'v' => Some(Self::Volatile),
            _ => None,
        }
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UserType {
    pub schema: String,
    pub name: String,
    /// Arrays, ranges, composites of users' types: their binary form names types by OIDs, which differ between nodes.
    pub embeds_oids: bool,
}
