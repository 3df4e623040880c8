//! Equalities that hold for the rows that matter: classes of terms, and the keys they are equal to.

use std::collections::{BTreeMap, BTreeSet};

use super::{Cond, Term};
use crate::KeySource;

#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    parents: BTreeMap<Term, Term>,
    /// Per class, by its root.
    keys: BTreeMap<Term, KeySource>,
    /// Classes, by their roots, in which no value is NULL.
    not_null: BTreeSet<Term>,
}

impl Facts {
    pub(crate) fn with<'c>(&self, conds: impl IntoIterator<Item = &'c Cond>) -> Self {
        let mut facts = self.clone();
        conds.into_iter().for_each(|it| facts.add(it));
        facts
    }

    pub(crate) fn add(&mut self, cond: &Cond) {
        match cond {
            Cond::Same(a, b) => drop(self.join(*a, *b)),
            Cond::Equal(a, b) => {
                let root = self.join(*a, *b);
                self.not_null.insert(root);
            }
            Cond::Key(term, key) => {
                let root = self.root(*term);
                // One key restricts as well as several: rows must be equal to all of them.
                self.keys.entry(root).or_insert_with(|| key.clone());
                self.not_null.insert(root);
            }
        }
    }

    /// Of a term that is NULL in no row: the key of rows that are stored.
    pub(crate) fn of_stored(key: Term) -> Self {
        Self { not_null: BTreeSet::from([key]), ..Self::default() }
    }

    pub(crate) fn key(&self, term: Term) -> Option<&KeySource> {
        self.keys.get(&self.root(term))
    }

    pub(crate) fn equal(&self, a: Term, b: Term) -> bool {
        let root = self.root(a);
        root == self.root(b) && (a == b || self.not_null.contains(&root))
    }

    /// Whether rows in which this term is NULL do not matter.
    pub(crate) fn is_not_null(&self, term: Term) -> bool {
        self.not_null.contains(&self.root(term))
    }

    fn root(&self, term: Term) -> Term {
        match self.parents.get(&term) {
            Some(parent) => self.root(*parent),
            None => term,
        }
    }

    fn join(&mut self, a: Term, b: Term) -> Term {
        let (a, b) = (self.root(a), self.root(b));
        if a == b {
            return a;
        }
        self.parents.insert(b, a);
        if let Some(key) = self.keys.remove(&b) {
            self.keys.entry(a).or_insert(key);
        }
        if self.not_null.remove(&b) {
            self.not_null.insert(a);
        }
        a
    }
}
