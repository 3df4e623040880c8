//! PostgreSQL's lexical rules over bytes, as far as they decide where a token ends.
//!
//! Faster than the real scanner because it names few kinds of tokens; what is neither name, literal nor semicolon
//! is passed over. Follows `scan.l` of PostgreSQL 15 to 18 with `standard_conforming_strings` on (with it
//! off, a backslash would escape in plain strings too, and this must not be used).

/// What a token is, with its first byte and the one after it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TokenKind {
    /// Keywords and unquoted names.
    Word,
    /// Decimal digits alone.
    Integer,
    /// `'…'` in one piece, without prefix.
    String,
    /// Every other constant, quoted name and parameter: only its extent matters.
    Other,
    /// `(` or `)`.
    Open,
    Close,
    Semicolon,
    /// An operator or another sign. Longer operators are several of these.
    Sign,
    /// Something that must have an end has none. Reaches to the end of the text.
    Unterminated,
}

/// Yields the tokens of a text. Whitespace and comments lie between them.
#[derive(Clone, Debug)]
pub(crate) struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    fn byte(&self, at: usize) -> u8 {
        self.text.get(at).copied().unwrap_or(0)
    }

    /// The position behind the bytes of this class from `at` on.
    fn class_end(&self, at: usize, class: u8) -> usize {
        let rest = &self.text[at.min(self.text.len())..];
        at + rest.iter().position(|it| CLASS[usize::from(*it)] & class == 0).unwrap_or(rest.len())
    }

    /// The position behind the next `byte`, from `at` on.
    fn behind(&self, at: usize, byte: u8) -> Option<usize> {
        memchr::memchr(byte, self.text.get(at..)?).map(|found| at + found + 1)
    }

    /// Reads the token that starts at `start`, which is no whitespace or comment: its kind and its end.
    fn token(&self, start: usize) -> Option<(TokenKind, usize)> {
        let first = self.byte(start);
        Some(match first {
            _ if is(first, WORD_START) => return self.word(start),
            b'0'..=b'9' => self.number(start),
            b'.' if is(self.byte(start + 1), DIGIT) => (TokenKind::Other, self.fraction(start + 1)),
            b'.' if self.byte(start + 1) == b'.' => (TokenKind::Sign, start + 2),
            b'\'' => {
                let end = self.string_end(start + 1)?;
                match self.continuation(end) {
                    None => (TokenKind::String, end),
                    Some(more) => (TokenKind::Other, self.continued(more, Self::string_end)?),
                }
            }
            b'"' => (TokenKind::Other, self.quoted_name_end(start + 1)?),
            b'$' => return self.dollar(start),
            b';' => (TokenKind::Semicolon, start + 1),
            b'(' => (TokenKind::Open, start + 1),
            b')' => (TokenKind::Close, start + 1),
            _ => (TokenKind::Sign, start + 1),
        })
    }

    /// A name or keyword, or a constant with a letter in front of its quote.
    fn word(&self, start: usize) -> Option<(TokenKind, usize)> {
        let end = self.class_end(start, WORD);
        let prefix = self.byte(start).to_ascii_lowercase();
        if end != start + 1 || !matches!(prefix, b'e' | b'b' | b'x' | b'n' | b'u') {
            return Some((TokenKind::Word, end));
        }
        let string_end = match (prefix, self.byte(end), self.byte(end + 1)) {
            (b'e', b'\'', _) => self.continued(end + 1, Self::escape_string_end)?,
            (b'n', b'\'', _) => self.continued(end + 1, Self::string_end)?,
            (b'b' | b'x', b'\'', _) => self.continued(end + 1, |it, at| it.behind(at, b'\''))?,
            (b'u', b'&', b'\'') => self.continued(end + 2, Self::string_end)?,
            (b'u', b'&', b'"') => self.quoted_name_end(end + 2)?,
            _ => return Some((TokenKind::Word, end)),
        };
        Some((TokenKind::Other, string_end))
    }

    /// Digits, and whatever makes them something else than an integer.
    fn number(&self, start: usize) -> (TokenKind, usize) {
        let end = self.class_end(start, DIGIT);
        match self.byte(end) {
            // `1..2` is two integers.
            b'.' if self.byte(end + 1) == b'.' => (TokenKind::Integer, end),
            b'.' => (TokenKind::Other, self.fraction(end + 1)),
            // An exponent, a radix, underscores, or junk that PostgreSQL refuses.
            next if is(next, WORD_START) => (TokenKind::Other, self.exponent(end)),
            _ => (TokenKind::Integer, end),
        }
    }

    /// The end of a number whose digits after the point start at `at`.
    fn fraction(&self, at: usize) -> usize {
        self.exponent(self.class_end(at, DIGIT))
    }

    /// The end of a number whose digits end at `at`.
    fn exponent(&self, at: usize) -> usize {
        let signed = matches!(self.byte(at), b'e' | b'E')
            && matches!(self.byte(at + 1), b'+' | b'-')
            && is(self.byte(at + 2), DIGIT);
        self.class_end(if signed { at + 2 } else { at }, WORD_NO_DOLLAR)
    }

    /// A dollar-quoted string or a parameter.
    fn dollar(&self, start: usize) -> Option<(TokenKind, usize)> {
        let tag = start + 1;
        if is(self.byte(tag), DIGIT) {
            return Some((TokenKind::Other, self.class_end(tag, DIGIT)));
        }
        let tag_end = self.class_end(tag, WORD_NO_DOLLAR);
        if self.byte(tag_end) != b'$' {
            return Some((TokenKind::Sign, tag));
        }
        let delimiter = &self.text[start..=tag_end];
        let body = &self.text[tag_end + 1..];
        let end = memchr::memmem::find(body, delimiter)?;
        Some((TokenKind::Other, tag_end + 1 + end + delimiter.len()))
    }

    /// The end of a string whose contents start at `at`: behind the first quote that is not doubled.
    fn string_end(&self, at: usize) -> Option<usize> {
        self.undoubled(at, b'\'')
    }

    fn quoted_name_end(&self, at: usize) -> Option<usize> {
        self.undoubled(at, b'"')
    }

    fn undoubled(&self, mut at: usize, quote: u8) -> Option<usize> {
        loop {
            at = self.behind(at, quote)?;
            if self.byte(at) != quote {
                return Some(at);
            }
            at += 1;
        }
    }

    fn escape_string_end(&self, mut at: usize) -> Option<usize> {
        loop {
            at += memchr::memchr2(b'\'', b'\\', self.text.get(at..)?)?;
            match (self.byte(at), self.byte(at + 1)) {
                (b'\\', _) | (b'\'', b'\'') => at += 2,
                _ => return Some(at + 1),
            }
        }
    }

    /// The end of a string with all its continuations; `part_end` finds the end of one part.
    fn continued(&self, at: usize, part_end: impl Fn(&Self, usize) -> Option<usize>) -> Option<usize> {
        let mut end = part_end(self, at)?;
        while let Some(more) = self.continuation(end) {
            end = part_end(self, more)?;
        }
        Some(end)
    }

    /// A string goes on in another quote after whitespace with a newline in it. Gives the start of the next
    /// part's contents. Only `--` comments count as whitespace here.
    fn continuation(&self, end: usize) -> Option<usize> {
        let mut at = end;
        let mut on_new_line = false;
        loop {
            match self.byte(at) {
                b'\n' | b'\r' => on_new_line = true,
                it if is(it, SPACE) => {}
                b'-' if self.byte(at + 1) == b'-' => at = self.line_end(at) - 1,
                b'\'' if on_new_line => return Some(at + 1),
                _ => return None,
            }
            at += 1;
        }
    }

    /// The end of a `--` comment, before its newline.
    fn line_end(&self, at: usize) -> usize {
        memchr::memchr2(b'\n', b'\r', &self.text[at..]).map_or(self.text.len(), |it| at + it)
    }

    /// The end of a `/* … */` comment, which nests.
    fn block_comment_end(&self, start: usize) -> Option<usize> {
        let mut depth = 1;
        let mut at = start + 2;
        while depth > 0 {
            at += memchr::memchr2(b'/', b'*', self.text.get(at..)?)?;
            match (self.byte(at), self.byte(at + 1)) {
                (b'/', b'*') => depth += 1,
                (b'*', b'/') => depth -= 1,
                _ => {
                    at += 1;
                    continue;
                }
            }
            at += 2;
        }
        Some(at)
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        loop {
            let start = self.class_end(self.at, SPACE);
            let first = *self.text.get(start)?;
            let read = match (first, self.byte(start + 1)) {
                (b'-', b'-') => {
                    self.at = self.line_end(start);
                    continue;
                }
                (b'/', b'*') => match self.block_comment_end(start) {
                    Some(end) => {
                        self.at = end;
                        continue;
                    }
                    None => None,
                },
                _ => self.token(start),
            };
            let (kind, end) = read.unwrap_or((TokenKind::Unterminated, self.text.len()));
            self.at = end;
            return Some(Token { kind, start, end });
        }
    }
}

fn is(byte: u8, class: u8) -> bool {
    CLASS[usize::from(byte)] & class != 0
}

const SPACE: u8 = 1;
const DIGIT: u8 = 2;
const WORD_START: u8 = 4;
const WORD: u8 = 8;
/// What the tag of a dollar quote is made of, and junk after a number.
const WORD_NO_DOLLAR: u8 = 16;

/// The classes of each byte. Bytes past ASCII are letters, as in `ident_start`.
const CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        class[byte] = match byte as u8 {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => SPACE,
            b'0'..=b'9' => DIGIT | WORD | WORD_NO_DOLLAR,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => WORD_START | WORD | WORD_NO_DOLLAR,
            b'$' => WORD,
            _ => 0,
        };
        byte += 1;
    }
    class
};
