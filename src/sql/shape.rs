//! The shape of a statement: its text with the literals taken out. Statements of one shape differ only in
//! the values of their literals, so a plan made for one serves them all.
//!
//! Only plain decimal integers and plain `'…'` strings become slots, and the kind of each is part of the shape;
//! everything else stays verbatim, blanks and comments included. Shape and literals together give the text
//! back, so two texts of one shape are token by token the same but for their slots. What a literal *means*
//! where it stands (`LIMIT 5`, `ORDER BY 1`, `numeric(10,2)`) is for the planner to know.

use crate::lexer::{Lexer, TokenKind};

/// A statement's shape. Reusable: [`Shape::read`] keeps its buffers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Shape {
    /// The text in which each literal is replaced by a zero byte and a byte for its kind. A zero byte is never
    /// part of a statement, so no other text has these bytes.
    pub bytes: Vec<u8>,
    /// In the order of the text.
    pub literals: Vec<Literal>,
}

/// A literal that became a slot: the bytes of the text from `start` to `end`, quotes included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Literal {
    pub start: usize,
    pub end: usize,
    pub kind: LiteralKind,
}

/// The kind of a literal: for integers, the type that PostgreSQL gives it. A sign before it is an operator.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum LiteralKind {
    Int4 = b'4',
    Int8 = b'8',
    Numeric = b'n',
    String = b's',
}

impl Literal {
    /// The literal as it is written.
    pub fn text<'t>(&self, statement: &'t [u8]) -> &'t [u8] {
        &statement[self.start..self.end]
    }

    /// The value of a literal: the digits, or what is between the quotes with doubled quotes made single.
    pub fn value(&self, statement: &[u8]) -> Vec<u8> {
        let text = self.text(statement);
        match self.kind {
            LiteralKind::Int4 | LiteralKind::Int8 | LiteralKind::Numeric => text.to_vec(),
            LiteralKind::String => unquote(text),
        }
    }
}

/// The shape of a text, which must be read with `standard_conforming_strings` on. `None` for a text that has
/// none: it ends within a string or comment, so PostgreSQL will refuse it.
pub fn shape(text: impl AsRef<[u8]>) -> Option<Shape> {
    let mut shape = Shape::default();
    shape.read(text.as_ref()).then_some(shape)
}

impl Shape {
    /// Takes the shape of another text; `false` if that has none (see [`shape`]).
    pub fn read(&mut self, text: &[u8]) -> bool {
        self.bytes.clear();
        self.literals.clear();
        // A zero byte would look like a slot. The protocol cannot carry one.
        if memchr::memchr(0, text).is_some() {
            return false;
        }
        let mut copied = 0;
        let mut last_word = 0..0;
        for token in Lexer::new(text) {
            let kind = match token.kind {
                TokenKind::Integer => integer_kind(&text[token.start..token.end]),
                // Belongs to the U&'…' before it.
                TokenKind::String if text[last_word].eq_ignore_ascii_case(b"uescape") => {
                    last_word = 0..0;
                    continue;
                }
                TokenKind::String => LiteralKind::String,
                TokenKind::Unterminated => return false,
                TokenKind::Word => {
                    last_word = token.start..token.end;
                    continue;
                }
                TokenKind::Other
                | TokenKind::Open
                | TokenKind::Close
                | TokenKind::Semicolon
                | TokenKind::Sign => {
                    last_word = 0..0;
                    continue;
                }
            };
            last_word = 0..0;
            self.bytes.extend_from_slice(&text[copied..token.start]);
            self.bytes.extend_from_slice(&[0, kind as u8]);
            self.literals.push(Literal { start: token.start, end: token.end, kind });
            copied = token.end;
        }
        self.bytes.extend_from_slice(&text[copied..]);
        true
    }
}

/// The type of an integer constant, by its size (`make_const`).
fn integer_kind(digits: &[u8]) -> LiteralKind {
    const INT4_MAX: &[u8] = b"2147483647";
    const INT8_MAX: &[u8] = b"9223372036854775807";
    let zeros = digits.iter().take_while(|it| **it == b'0').count();
    let digits = &digits[zeros..];
    let fits = |max: &[u8]| (digits.len(), digits) <= (max.len(), max);
    match () {
        () if fits(INT4_MAX) => LiteralKind::Int4,
        () if fits(INT8_MAX) => LiteralKind::Int8,
        () => LiteralKind::Numeric,
    }
}

fn unquote(text: &[u8]) -> Vec<u8> {
    let mut rest = &text[1..text.len() - 1];
    let mut value = Vec::with_capacity(rest.len());
    while let Some(at) = memchr::memchr(b'\'', rest) {
        value.extend_from_slice(&rest[..=at]);
        rest = &rest[at + 2..];
    }
    value.extend_from_slice(rest);
    value
}

#[cfg(test)]
mod tests;
