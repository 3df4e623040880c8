//! The names in a text that is too long to be parsed.

use crate::lexer::{Lexer, TokenKind};

/// Whether a name for which `is_known` holds may stand in the text outside of strings. Errs on one side: a name written with
/// escapes (`U&"…"`) may be any. Holds for texts read with `standard_conforming_strings` on.
pub fn may_mention(text: &str, is_known: impl Fn(&str) -> bool) -> bool {
    Lexer::new(text.as_bytes()).any(|token| {
        let written = &text[token.start..token.end];
        match (token.kind, written.as_bytes()) {
            (TokenKind::Word, _) => is_known(&written.to_ascii_lowercase()),
            (TokenKind::Other, [b'"', name @ .., b'"']) => {
                str::from_utf8(name).is_ok_and(|it| is_known(&it.replace("\"\"", "\"")))
            }
            (TokenKind::Other, [b'u' | b'U', b'&', b'"', ..]) | (TokenKind::Unterminated, _) => true,
            _ => false,
        }
    })
}

/// Whether the text is a query, or changes rows: whatever it does, it makes no objects.
pub fn is_query(text: &str) -> bool {
    const VERBS: [&str; 7] = ["insert", "select", "update", "delete", "merge", "with", "values"];
    let first = Lexer::new(text.as_bytes()).find(|it| it.kind != TokenKind::Open);
    first.is_some_and(|it| VERBS.iter().any(|verb| text[it.start..it.end].eq_ignore_ascii_case(verb)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_outside_of_strings() {
        let known = |it: &str| it == "events" || it == "My \"T\"";
        for text in [
            "SELECT * FROM Events",
            "SELECT 1 FROM a.\"events\"",
            "TABLE \"My \"\"T\"\"\"",
            "SELECT U&\"\\0065\"",
        ] {
            assert!(may_mention(text, known), "{text}");
        }
        for text in
            ["SELECT 'events' FROM \"Events\"", "SELECT $$events$$ -- events", "SELECT /* events */ 1"]
        {
            assert!(!may_mention(text, known), "{text}");
        }
    }

    #[test]
    fn queries_begin_with_their_verb() {
        assert!(is_query("/* a */ ((SELECT 1))") && is_query("insert into t values (1)"));
        assert!(!is_query("CREATE FUNCTION f()") && !is_query(""));
    }
}
