//! The UPDATE and DELETE that `postgres_fdw` sends: of all rows that meet a condition, or of one row by its ctid.
//!
//! As with scans, the text is cut at its clauses, and only the relation and the parameters are replaced.

use std::ops::Range;

use howdah_catalog::TableOid;
use howdah_sql::{NodeEnum, Token, Tokens, ast};

use super::clauses::{clauses, span};
use super::select::{
    Equality, Fragment, Relation, Value, check_expressions, collect_equalities, column, ctid_refused,
    named_relation, names_row, refused, value,
};
use crate::error::{Error, Result};

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Modify {
    pub(crate) command: Command,
    pub(crate) table: TableOid,
    /// Of UPDATE.
    pub(crate) assignments: Vec<Assignment>,
    pub(crate) rows: Rows,
    /// The columns of RETURNING.
    pub(crate) returning: Vec<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Command {
    Update,
    Delete,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Assignment {
    pub(crate) column: String,
    pub(crate) expression: Fragment,
    /// Set if the expression is a constant or a parameter.
    pub(crate) value: Option<Value>,
    /// Set if the expression is a column by itself.
    pub(crate) source: Option<String>,
}

/// What is changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Rows {
    All,
    Where {
        condition: Fragment,
        /// `column = value` conditions that every row meets.
        equalities: Vec<Equality>,
    },
    /// `WHERE ctid = $1`: the row that a scan has locked.
    One,
}

impl Command {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }
}

impl Modify {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let statements = howdah_sql::parse(text).map_err(|_| refused())?;
        let [statement] = statements.as_slice() else { return Err(refused()) };
        check_expressions(statement, 0)?;
        let tokens = statement.tokens().map_err(|_| refused())?;
        let source = Source { text: statement.text(), tokens: &tokens, clauses: Clauses::cut(&tokens)? };
        match statement.node() {
            NodeEnum::UpdateStmt(tree) if tree.from_clause.is_empty() && tree.with_clause.is_none() => {
                Ok(Self {
                    command: Command::Update,
                    table: table(tree.relation.as_ref())?,
                    assignments: source.assignments(&tree.target_list)?,
                    rows: source.rows(tree.where_clause.as_deref())?,
                    returning: returning(tree.returning_clause.as_ref())?,
                })
            }
            NodeEnum::DeleteStmt(tree) if tree.using_clause.is_empty() && tree.with_clause.is_none() => {
                Ok(Self {
                    command: Command::Delete,
                    table: table(tree.relation.as_ref())?,
                    assignments: Vec::new(),
                    rows: source.rows(tree.where_clause.as_deref())?,
                    returning: returning(tree.returning_clause.as_ref())?,
                })
            }
            _ => Err(refused()),
        }
    }

    pub(crate) fn returns(&self) -> bool {
        !self.returning.is_empty()
    }
}

fn table(range: Option<&ast::RangeVar>) -> Result<TableOid> {
    let range = range.filter(|it| it.alias.is_none() && it.catalogname.is_empty()).ok_or_else(refused)?;
    match named_relation(&range.schemaname, &range.relname)? {
        Relation::Table(table) => Ok(table),
        Relation::Call | Relation::Probe | Relation::Boundary => Err(refused()),
    }
}

pub(super) fn returning(clause: Option<&ast::ReturningClause>) -> Result<Vec<String>> {
    let Some(clause) = clause else { return Ok(Vec::new()) };
    if !clause.options.is_empty() {
        return Err(refused());
    }
    let name = |it: &howdah_sql::Node| {
        let Some(NodeEnum::ResTarget(it)) = it.node.as_ref() else { return Err(refused()) };
        match it.val.as_deref().and_then(|it| it.node.as_ref()) {
            Some(NodeEnum::ColumnRef(it)) => column(it).ok_or_else(refused),
            _ => Err(refused()),
        }
    };
    let columns: Vec<String> = clause.exprs.iter().map(name).collect::<Result<_>>()?;
    if columns.iter().any(|it| it == "ctid") {
        return Err(ctid_refused());
    }
    Ok(columns)
}

/// Where the clauses of the statement are.
#[derive(Default)]
struct Clauses {
    assignments: Vec<Range<usize>>,
    condition: Option<Range<usize>>,
}

struct Source<'a> {
    text: &'a str,
    tokens: &'a Tokens,
    clauses: Clauses,
}

impl Clauses {
    fn cut(tokens: &Tokens) -> Result<Self> {
        let mut cut = Self::default();
        for clause in clauses(tokens, &[Token::Set, Token::Where, Token::Returning])? {
            match clause.keyword {
                // The column and the sign come first.
                Token::Set => {
                    let values = clause.items(1).map(|it| span(tokens, it.start + 2..it.end));
                    cut.assignments = values.collect::<Result<_>>()?;
                }
                Token::Where => cut.condition = Some(clause.behind(tokens)?),
                _ => {}
            }
        }
        Ok(cut)
    }
}

impl Source<'_> {
    fn fragment(&self, range: &Range<usize>) -> Fragment {
        Fragment::cut(self.text, self.tokens, range.clone())
    }

    fn assignments(&self, targets: &[howdah_sql::Node]) -> Result<Vec<Assignment>> {
        if targets.len() != self.clauses.assignments.len() {
            return Err(refused());
        }
        let assignment = |(target, range): (&howdah_sql::Node, &Range<usize>)| {
            let Some(NodeEnum::ResTarget(target)) = target.node.as_ref() else { return Err(refused()) };
            let expression = target.val.as_deref().and_then(|it| it.node.as_ref()).ok_or_else(refused)?;
            if !target.indirection.is_empty() || names_row(expression) {
                return Err(refused());
            }
            let source = match expression {
                NodeEnum::ColumnRef(it) => column(it),
                _ => None,
            };
            Ok(Assignment {
                column: target.name.clone(),
                expression: self.fragment(range),
                value: value(expression),
                source,
            })
        };
        targets.iter().zip(&self.clauses.assignments).map(assignment).collect()
    }

    fn rows(&self, condition: Option<&howdah_sql::Node>) -> Result<Rows> {
        let condition = condition.and_then(|it| it.node.as_ref());
        match (condition, &self.clauses.condition) {
            (None, None) => Ok(Rows::All),
            (Some(_), Some(range)) if &self.text[range.clone()] == "ctid = $1" => Ok(Rows::One),
            (Some(condition), Some(_)) if names_row(condition) => Err(ctid_refused()),
            (Some(condition), Some(range)) => {
                let mut equalities = Vec::new();
                collect_equalities(condition, &mut equalities);
                Ok(Rows::Where { condition: self.fragment(range), equalities })
            }
            _ => Err(Error::Internal("the clauses of a statement were not found".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(text: &str, parameters: &[&str]) -> (Modify, Vec<String>) {
        let modify = Modify::parse(text).expect(text);
        let parameters = parameters.iter().map(|it| Some((*it).to_owned())).collect();
        let expressions = modify.assignments.iter().map(|it| it.expression.render(&parameters)).collect();
        (modify, expressions)
    }

    #[test]
    fn rows_that_meet_a_condition() {
        let (modify, expressions) = rendered(
            "UPDATE howdah_live.t7 SET v = (v + 100), \"n, m\" = $1::text WHERE ((id = $2::integer)) AND ((k = 3)) RETURNING k, \"n, m\"",
            &["it's", "5"],
        );
        assert_eq!(expressions, ["(v + 100)", "'it''s'::text"]);
        assert_eq!(modify.assignments[1].column, "n, m");
        assert_eq!(modify.assignments[1].value, Some(Value::Parameter(0)));
        assert_eq!(modify.returning, ["k", "n, m"]);
        let Rows::Where { equalities, .. } = modify.rows else { panic!("a condition") };
        assert_eq!(equalities.len(), 2);
    }

    #[test]
    fn a_row_that_was_locked() {
        let (modify, expressions) =
            rendered("UPDATE howdah_live.t7 SET v = $2, g = DEFAULT WHERE ctid = $1", &["(0,1)", "4"]);
        assert_eq!((modify.rows, expressions), (Rows::One, vec!["'4'".to_owned(), "DEFAULT".to_owned()]));
        let (modify, _) = rendered("DELETE FROM howdah_live.t7 WHERE ctid = $1", &["(0,1)"]);
        assert_eq!((modify.command, modify.rows), (Command::Delete, Rows::One));
    }

    #[test]
    fn others_are_refused() {
        for text in [
            "UPDATE public.events SET v = 1",
            "UPDATE howdah_live.call SET request = ''",
            "UPDATE howdah_live.t7 SET v = (SELECT 1)",
            "UPDATE howdah_live.t7 SET v = public.f(v)",
            "UPDATE howdah_live.t7 SET v = 1 FROM howdah_live.t8",
            "UPDATE howdah_live.t7 SET v = 1 WHERE ((ctid = '(0,1)'::tid))",
            "UPDATE howdah_live.t7 SET (v, w) = ROW(1, 2)",
            "DELETE FROM howdah_live.t7 USING howdah_live.t8",
            "DELETE FROM howdah_live.t7 AS r1",
            "DELETE FROM howdah_live.t7 RETURNING ctid",
            "WITH x AS (DELETE FROM howdah_live.t7) DELETE FROM howdah_live.t7",
        ] {
            assert!(Modify::parse(text).is_err(), "{text}");
        }
    }
}
