//! The relations that a statement names.

use std::collections::BTreeSet;

use pg_query::{NodeRef, protobuf};

use crate::statement::Statement;
use crate::walk::walk;

/// A relation as written. Names of CTEs are among them: only a scope can tell, and asking too much is harmless.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RelationName {
    pub schema: Option<String>,
    pub name: String,
}

impl RelationName {
    pub fn of(range: &protobuf::RangeVar) -> Self {
        let schema = (!range.schemaname.is_empty()).then(|| range.schemaname.clone());
        Self { schema, name: range.relname.clone() }
    }

    /// As an argument of `to_regclass`.
    pub fn quoted(&self) -> String {
        let name = crate::quote_identifier(&self.name);
        match &self.schema {
            Some(schema) => format!("{}.{name}", crate::quote_identifier(schema)),
            None => name,
        }
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RelationNames {
    /// Every relation that the statement names.
    Exact(BTreeSet<RelationName>),
    /// For statements whose tree is not known here: every word, folded. A relation that is not among the words
    /// is not named.
    Words(BTreeSet<String>),
}

impl RelationNames {
    /// The bare names, for a first look at whether a distributed table may be meant.
    pub fn bare(&self) -> impl Iterator<Item = &str> {
        let (exact, words) = match self {
            Self::Exact(names) => (Some(names), None),
            Self::Words(words) => (None, Some(words)),
        };
        let exact = exact.into_iter().flatten().map(|it| it.name.as_str());
        exact.chain(words.into_iter().flatten().map(String::as_str))
    }
}

/// The relations that a statement names as relations. Not those in string literals (`'t'::regclass`) and bodies of functions.
pub fn relation_names(statement: &Statement) -> RelationNames {
    let mut names = BTreeSet::new();
    let known = walk(statement.node().to_ref(), &mut |node| {
        if let NodeRef::RangeVar(range) = node {
            names.insert(RelationName::of(range));
        }
    });
    match known {
        Ok(()) => RelationNames::Exact(names),
        Err(_) => RelationNames::Words(words(statement)),
    }
}

fn words(statement: &Statement) -> BTreeSet<String> {
    statement.tokens().map(|it| it.words(statement.text()).collect()).unwrap_or_default()
}
