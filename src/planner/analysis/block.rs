//! The bound form of a query, as far as it matters for equalities.

use std::sync::Arc;

use howdah_catalog::{Table, TypeOid};

use crate::KeySource;

/// A column of one occurrence of a relation: its value in the row at hand. Two columns share a term only if they are
/// always the same value.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Term(pub(crate) usize);

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Cond {
    /// `a = b` by the equality under which both types hash alike; so neither is NULL.
    Equal(Term, Term),
    /// The same value, or both NULL.
    Same(Term, Term),
    Key(Term, KeySource),
}

/// A query, or the rows that UPDATE and DELETE work on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Block {
    /// The items of FROM; their combinations are filtered by `conds`.
    pub(crate) trees: Vec<Tree>,
    pub(crate) conds: Vec<Cond>,
    /// Subqueries in expressions, evaluated for combinations that satisfy all other conditions, and those that nothing
    /// restricts from outside (`conds` empty): CTEs that write or are not read.
    pub(crate) subqueries: Vec<Subquery>,
    /// The queries of UNION, INTERSECT or EXCEPT: each with what its columns are to the outputs here.
    pub(crate) branches: Vec<Subquery>,
    pub(crate) outputs: Vec<Output>,
    /// Aggregates without GROUP BY give a row even where no row satisfies `conds`.
    pub(crate) always_a_row: bool,
    /// The outputs whose terms are not the rows' own, because a condition on them must not be applied to the rows,
    /// with the rows' terms behind them.
    pub(crate) hidden: Vec<(Term, Term)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Subquery {
    pub(crate) block: Block,
    /// What holds besides for its rows that matter.
    pub(crate) conds: Vec<Cond>,
    /// `x IN (subquery)` as a condition of WHERE: rows pass only if they match, so what is certain of the subquery's rows is
    /// certain of `x`.
    pub(crate) matched: bool,
    /// Evaluated in the rows' place, or by itself (a CTE).
    pub(crate) detached: bool,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Output {
    pub(crate) name: Option<String>,
    pub(crate) term: Option<Term>,
}

#[derive(Clone, Debug)]
pub(crate) enum Tree {
    Leaf(Leaf),
    Join(Box<Join>),
}

#[derive(Clone, Debug)]
pub(crate) struct Join {
    pub(crate) kind: JoinKind,
    pub(crate) left: Tree,
    pub(crate) right: Tree,
    pub(crate) conds: Vec<Cond>,
    pub(crate) subqueries: Vec<Subquery>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
}

#[derive(Clone, Debug)]
pub(crate) enum Leaf {
    Distributed {
        table: Arc<Table>,
        terms: Vec<Term>,
        key: Term,
    },
    Reference {
        terms: Vec<Term>,
    },
    Query(Box<Block>),
    /// Functions, VALUES, what a CTE that writes returns.
    Other,
}

/// Types whose values are equal exactly if their hashes can be: one family of hash operators.
pub(crate) fn same_family(a: TypeOid, b: TypeOid) -> bool {
    let family = |it: TypeOid| match it {
        TypeOid::INT2 | TypeOid::INT4 | TypeOid::INT8 => TypeOid::INT8,
        TypeOid::TEXT | TypeOid::VARCHAR => TypeOid::TEXT,
        other => other,
    };
    family(a) == family(b)
}

impl Tree {
    /// The terms of the rows of this tree, as far as they have some.
    pub(crate) fn terms(&self) -> Vec<Term> {
        match self {
            Self::Join(it) => [it.left.terms(), it.right.terms()].concat(),
            Self::Leaf(Leaf::Distributed { terms, .. } | Leaf::Reference { terms }) => terms.clone(),
            Self::Leaf(Leaf::Query(it)) => it.outputs.iter().filter_map(|it| it.term).collect(),
            Self::Leaf(Leaf::Other) => Vec::new(),
        }
    }
}
