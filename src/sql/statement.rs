//! One statement: its text, its tree, and where in the client's text it stood.

use std::fmt;

use pg_query::{Node, NodeEnum};

use crate::kind::Kind;
use crate::tokens::Tokens;

/// A parsed statement. Positions in the tree are byte offsets into [`Statement::text`].
#[derive(Clone)]
pub struct Statement {
    text: String,
    offset: usize,
    node: NodeEnum,
    kind: Kind,
}

/// Text that the grammar of the newest release does not accept. Send it to the coordinator: its own answer,
/// error or not, is the right one.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(String);

/// The statements of a text, in order; none for an empty one.
pub fn parse(text: &str) -> Result<Vec<Statement>, ParseError> {
    let mut tree = raw_parse(text)?;
    if let [only] = tree.as_mut_slice()
        && only.stmt_location == 0
    {
        let end = end_of(only, text);
        return Ok(only
            .stmt
            .take()
            .and_then(|it| it.node)
            .map(|it| Statement::new(&text[..end], 0, it))
            .into_iter()
            .collect());
    }
    tree.iter()
        .map(|it| reparse(text, it))
        .collect::<Result<Vec<_>, _>>()
        .map(|it| it.into_iter().flatten().collect())
}

fn raw_parse(text: &str) -> Result<Vec<pg_query::protobuf::RawStmt>, ParseError> {
    pg_query::parse(text, 0).map(|it| it.protobuf.stmts).map_err(|it| ParseError(it.to_string()))
}

/// Parses one statement of several again by itself, so that its positions count from its own start.
fn reparse(text: &str, raw: &pg_query::protobuf::RawStmt) -> Result<Option<Statement>, ParseError> {
    let start = usize::try_from(raw.stmt_location).unwrap_or(0);
    let slice = &text[start..end_of(raw, text)];
    let blank = slice.len() - slice.trim_start().len();
    let slice = &slice[blank..];
    let node = raw_parse(slice)?.into_iter().next().and_then(|it| it.stmt).and_then(|it| it.node);
    Ok(node.map(|it| Statement::new(slice, start + blank, it)))
}

/// `stmt_len` is zero for "to the end of the text".
fn end_of(raw: &pg_query::protobuf::RawStmt, text: &str) -> usize {
    match usize::try_from(raw.stmt_len) {
        Ok(len) if 0 < len => usize::try_from(raw.stmt_location).unwrap_or(0) + len,
        _ => text.len(),
    }
}

impl Statement {
    fn new(text: &str, offset: usize, node: NodeEnum) -> Self {
        let kind = Kind::of(&node);
        Self { text: text.to_owned(), offset, node, kind }
    }

    /// Without the semicolon that ended it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where in the client's text it starts, in bytes.
    pub fn offset(&self) -> usize {
        self.offset
    }

    pub fn node(&self) -> &NodeEnum {
        &self.node
    }

    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The tokens of its text.
    pub fn tokens(&self) -> Result<Tokens, ParseError> {
        Tokens::scan(&self.text).map_err(ParseError)
    }

    /// The statement inside of EXPLAIN, DECLARE CURSOR, COPY (…) TO, PREPARE or CREATE TABLE AS, as one of its own; its
    /// `offset` counts from the start of the outer statement's text.
    pub fn inner(&self) -> Option<Self> {
        let query = match &self.node {
            NodeEnum::ExplainStmt(it) => it.query.as_deref(),
            NodeEnum::DeclareCursorStmt(it) => it.query.as_deref(),
            NodeEnum::CopyStmt(it) => it.query.as_deref(),
            NodeEnum::PrepareStmt(it) => it.query.as_deref(),
            NodeEnum::CreateTableAsStmt(it) => it.query.as_deref(),
            _ => None,
        }?;
        let wanted = Kind::of(query.node.as_ref()?);
        let tokens = self.tokens().ok()?;
        // The tree does not say where the query starts, so the first place from which the rest parses as the same
        // query is it. Options and names before it never do: what follows would not be a statement.
        tokens.statement_starts().find_map(|at| self.inner_at(&tokens, at, query, &wanted))
    }

    fn inner_at(&self, tokens: &Tokens, start: usize, query: &Node, wanted: &Kind) -> Option<Self> {
        // In `(query) TO …` it ends at a bracket, in `query WITH NO DATA` at a keyword.
        let ends = [tokens.closing_of_group_around(start), Some(self.text.len()), tokens.last_with(start)];
        ends.into_iter().flatten().find_map(|end| {
            let slice = self.text[start..end].trim_end();
            let node = raw_parse(slice).ok()?.into_iter().next()?.stmt?.node?;
            let same = Kind::of(&node) == *wanted && same_query(&node, query);
            same.then(|| Self::new(slice, start, node))
        })
    }
}

/// Whether two trees are the same query, wherever each stood.
fn same_query(a: &NodeEnum, b: &Node) -> bool {
    let deparse = |it: &NodeEnum| it.deparse(pg_query::DeparseOptions::default()).ok();
    matches!((deparse(a), b.node.as_ref().and_then(deparse)), (Some(a), Some(b)) if a == b)
}

impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statement").field("kind", &self.kind).field("text", &self.text).finish()
    }
}

#[cfg(test)]
mod tests;
