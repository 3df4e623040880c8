//! Makes a worker query out of the client's own text, by replacing ranges of bytes.

use std::ops::Range;

use crate::{KeySource, Piece, Template};

/// The literals of the statement's shape, as byte ranges of its text. Without any, templates hold for the text alone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slots {
    text: String,
    ranges: Vec<Range<usize>>,
}

impl Slots {
    pub(crate) fn new(text: &str, ranges: Vec<Range<usize>>) -> Self {
        Self { text: text.to_owned(), ranges }
    }

    /// The key for a constant whose node is at a position: for a negative number that is the sign's.
    pub(crate) fn key(&self, start: usize, value: &str, is_number: bool) -> Option<KeySource> {
        if self.ranges.is_empty() {
            return Some(KeySource::Constant(value.to_owned()));
        }
        let negated = is_number && self.text[start..].starts_with('-');
        let literal = match negated {
            true => start + 1 + blanks(&self.text[start + 1..]),
            false => start,
        };
        let plain = !negated || self.text[literal..].starts_with(|it: char| it.is_ascii_digit() || it == '.');
        match self.ranges.binary_search_by_key(&literal, |it| it.start) {
            Ok(slot) => Some(KeySource::Literal { slot, negated }),
            // A comment between sign and number: whether the number is a slot is not looked up.
            Err(_) => plain.then(|| KeySource::Constant(value.to_owned())),
        }
    }

    fn within(&self, range: &Range<usize>) -> impl Iterator<Item = (usize, &Range<usize>)> {
        let inside = |it: &&Range<usize>| range.start <= it.start && it.end <= range.end;
        let first = self.ranges.partition_point(|it| it.start < range.start);
        self.ranges[first..].iter().take_while(inside).zip(first..).map(|(range, slot)| (slot, range))
    }
}

/// Replacements in a text. Ranges do not overlap.
#[derive(Clone, Debug, Default)]
pub(crate) struct Splice {
    edits: Vec<(Range<usize>, Vec<Piece>)>,
}

impl Splice {
    pub(crate) fn replace(&mut self, range: Range<usize>, pieces: Vec<Piece>) {
        if !self.edits.iter().any(|it| it.0 == range && it.1 == pieces) {
            self.edits.push((range, pieces));
        }
    }

    /// The text of a range with the edits in it done, and literals as slots.
    pub(crate) fn template(&self, text: &str, range: Range<usize>, slots: &Slots) -> Template {
        let mut edits: Vec<_> =
            self.edits.iter().filter(|it| range.start <= it.0.start && it.0.end <= range.end).collect();
        edits.sort_by_key(|it| (it.0.start, it.0.end));
        let mut template = Template::default();
        let mut at = range.start;
        for (replaced, pieces) in edits {
            push_text(&mut template, text, at..replaced.start.max(at), slots);
            pieces.iter().for_each(|it| template.push(it.clone()));
            at = replaced.end.max(at);
            // What stands for `now()` in `now()FROM t` must not become one word with FROM.
            if ends_in_word(pieces) && text[at..range.end].starts_with(is_word) {
                template.push_text(" ");
            }
        }
        push_text(&mut template, text, at..range.end, slots);
        template
    }
}

fn ends_in_word(pieces: &[Piece]) -> bool {
    match pieces.iter().rfind(|it| !matches!(it, Piece::Text(text) if text.is_empty())) {
        Some(Piece::Text(text)) => text.ends_with(is_word),
        Some(Piece::TransactionTime | Piece::Value(_) | Piece::Literal(_)) => true,
        Some(Piece::Shard(_) | Piece::ShardObject { .. }) | None => false,
    }
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '_' | '$')
}

fn blanks(text: &str) -> usize {
    text.len() - text.trim_start().len()
}

fn push_text(template: &mut Template, text: &str, range: Range<usize>, slots: &Slots) {
    let mut at = range.start;
    for (slot, literal) in slots.within(&range) {
        template.push_text(&text[at..literal.start]);
        template.push(Piece::Literal(slot));
        at = literal.end;
    }
    template.push_text(&text[at..range.end]);
}
