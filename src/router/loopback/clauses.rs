//! Where the clauses of a statement of `postgres_fdw` are.

use std::iter;
use std::ops::Range;

use howdah_sql::{Token, Tokens};

use super::select::refused;
use crate::error::Result;

pub(super) struct Clause {
    pub(super) keyword: Token,
    /// From the keyword to the next clause.
    pub(super) tokens: Range<usize>,
    /// The commas at its top level.
    commas: Vec<usize>,
}

/// The clauses that begin with these keywords outside of parentheses, in the order of the text.
pub(super) fn clauses(tokens: &Tokens, keywords: &[Token]) -> Result<Vec<Clause>> {
    let mut found: Vec<Clause> = Vec::new();
    let mut depth = 0_usize;
    for index in 0..tokens.len() {
        match tokens.token(index).ok_or_else(refused)? {
            Token::Ascii40 | Token::Ascii91 => depth += 1,
            Token::Ascii41 | Token::Ascii93 => depth = depth.checked_sub(1).ok_or_else(refused)?,
            keyword if depth == 0 && keywords.contains(&keyword) => {
                if let Some(before) = found.last_mut() {
                    before.tokens.end = index;
                }
                found.push(Clause { keyword, tokens: index..tokens.len(), commas: Vec::new() });
            }
            Token::Ascii44 if depth == 0 => {
                if let Some(clause) = found.last_mut() {
                    clause.commas.push(index);
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

impl Clause {
    /// The bytes behind the keyword.
    pub(super) fn behind(&self, tokens: &Tokens) -> Result<Range<usize>> {
        span(tokens, self.tokens.start + 1..self.tokens.end)
    }

    /// The tokens of each item of a list, which begins behind so many words.
    pub(super) fn items(&self, words: usize) -> impl Iterator<Item = Range<usize>> {
        let starts = iter::once(self.tokens.start + words).chain(self.commas.iter().map(|it| it + 1));
        let ends = self.commas.iter().copied().chain([self.tokens.end]);
        starts.zip(ends).map(|(start, end)| start..end)
    }
}

/// Bytes of these tokens, of which there must be one.
pub(super) fn span(tokens: &Tokens, range: Range<usize>) -> Result<Range<usize>> {
    let first = tokens.range(range.start).ok_or_else(refused)?;
    let last = range.end.checked_sub(1).and_then(|it| tokens.range(it)).ok_or_else(refused)?;
    if last.end <= first.start {
        return Err(refused());
    }
    Ok(first.start..last.end)
}
