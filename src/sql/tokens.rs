//! The tokens of a statement: where names and expressions end, which the tree does not say.

use std::ops::Range;

use pg_query::protobuf;

pub use pg_query::protobuf::Token;

/// Tokens without comments, in order.
#[derive(Clone, Debug)]
pub struct Tokens {
    items: Vec<Item>,
}

#[derive(Clone, Debug)]
struct Item {
    start: usize,
    end: usize,
    token: Token,
    identifier: bool,
}

impl Tokens {
    pub(crate) fn scan(text: &str) -> Result<Self, String> {
        let tokens = pg_query::scan_tokens(text).map_err(|it| it.to_string())?;
        let items = tokens.iter().filter_map(item).collect();
        Ok(Self { items })
    }

    /// Index of the token that starts at a byte position.
    pub fn at(&self, position: usize) -> Option<usize> {
        self.items.binary_search_by_key(&position, |it| it.start).ok()
    }

    /// Index of the first token at or after a byte position.
    pub fn from(&self, position: usize) -> usize {
        self.items.partition_point(|it| it.start < position)
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub fn token(&self, index: usize) -> Option<Token> {
        self.items.get(index).map(|it| it.token)
    }

    /// Byte range of a token.
    pub fn range(&self, index: usize) -> Option<Range<usize>> {
        self.items.get(index).map(|it| it.start..it.end)
    }

    /// A name or a keyword.
    pub fn is_identifier(&self, index: usize) -> bool {
        self.items.get(index).is_some_and(|it| it.identifier)
    }

    /// The bytes of a possibly qualified name that starts at a position, and of a `*` that asks for its descendants.
    pub fn name_range(&self, position: usize) -> Option<Range<usize>> {
        let mut last = self.at(position)?;
        while self.token(last + 1) == Some(Token::Ascii46) && self.is_identifier(last + 2) {
            last += 2;
        }
        if self.token(last + 1) == Some(Token::Ascii42) {
            last += 1;
        }
        Some(position..self.items[last].end)
    }

    /// The index of the bracket that closes the one at `open`.
    pub fn closing(&self, open: usize) -> Option<usize> {
        let mut depth = 0_usize;
        for (index, item) in self.items.iter().enumerate().skip(open) {
            match item.token {
                Token::Ascii40 | Token::Ascii91 => depth += 1,
                Token::Ascii41 | Token::Ascii93 => {
                    depth = depth.checked_sub(1)?;
                    if depth == 0 {
                        return Some(index);
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// The comma-separated parts between two brackets, as byte ranges without the commas.
    pub fn parts(&self, open: usize, close: usize) -> Vec<Range<usize>> {
        let mut parts = Vec::new();
        let mut depth = 0_usize;
        let mut first = open + 1;
        for index in open + 1..=close {
            match self.items[index].token {
                Token::Ascii40 | Token::Ascii91 => depth += 1,
                Token::Ascii41 | Token::Ascii93 if index != close => depth = depth.saturating_sub(1),
                Token::Ascii44 if 0 < depth => {}
                Token::Ascii44 | Token::Ascii41 | Token::Ascii93 => {
                    if first < index {
                        parts.push(self.items[first].start..self.items[index - 1].end);
                    }
                    first = index + 1;
                }
                _ => {}
            }
        }
        parts
    }

    /// The bare words of the text, folded as PostgreSQL folds them: every name that it could mention.
    pub fn words<'a>(&'a self, text: &'a str) -> impl Iterator<Item = String> + 'a {
        self.items.iter().filter(|it| it.identifier).map(|it| fold(&text[it.start..it.end]))
    }

    /// Where an inner statement may start.
    pub(crate) fn statement_starts(&self) -> impl Iterator<Item = usize> + '_ {
        let starts = |it: &&Item| {
            matches!(
                it.token,
                Token::Select
                    | Token::With
                    | Token::Values
                    | Token::Table
                    | Token::Insert
                    | Token::Update
                    | Token::DeleteP
                    | Token::Merge
                    | Token::Ascii40
                    | Token::Execute
                    | Token::Create
                    | Token::Declare
                    | Token::Refresh
            )
        };
        self.items.iter().skip(1).filter(starts).map(|it| it.start)
    }

    /// Start of the last WITH after a position.
    pub(crate) fn last_with(&self, position: usize) -> Option<usize> {
        let mut after = self.items.iter().skip(self.from(position) + 1);
        after.rfind(|it| matches!(it.token, Token::With | Token::WithLa)).map(|it| it.start)
    }

    /// Start of the bracket that closes the group in which a position stands directly.
    pub(crate) fn closing_of_group_around(&self, position: usize) -> Option<usize> {
        let mut depth = 0_usize;
        for item in self.items.iter().skip(self.from(position)) {
            match item.token {
                Token::Ascii40 => depth += 1,
                Token::Ascii41 if depth == 0 => return Some(item.start),
                Token::Ascii41 => depth -= 1,
                _ => {}
            }
        }
        None
    }
}

fn item(it: &protobuf::ScanToken) -> Option<Item> {
    let token = it.token();
    if matches!(token, Token::SqlComment | Token::CComment) {
        return None;
    }
    let keyword = it.keyword_kind() != protobuf::KeywordKind::NoKeyword;
    let identifier = keyword || matches!(token, Token::Ident | Token::Uident);
    Some(Item {
        start: usize::try_from(it.start).ok()?,
        end: usize::try_from(it.end).ok()?,
        token,
        identifier,
    })
}

fn fold(word: &str) -> String {
    match word.strip_prefix('"').and_then(|it| it.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => word.to_lowercase(),
    }
}
