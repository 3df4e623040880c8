//! The statements of a text, for simple queries that hold several.

use std::ops::Range;

use crate::lexer::{Lexer, TokenKind};

/// Where the statements of a text are, without the semicolons between them and the blanks and comments around
/// them. Empty statements are left out, so blanks and semicolons alone have none. Holds for
/// texts read with `standard_conforming_strings` on.
///
/// A text that PostgreSQL cannot read is split somehow: whoever runs the pieces gets the error.
pub fn split_statements(text: &str) -> Vec<Range<usize>> {
    let mut statements = Vec::new();
    let mut statement: Option<Range<usize>> = None;
    let mut depth = 0_usize;
    for token in Lexer::new(text.as_bytes()) {
        match token.kind {
            TokenKind::Semicolon if depth == 0 => {
                statements.extend(statement.take());
                continue;
            }
            // CREATE RULE has semicolons in parentheses.
            TokenKind::Open => depth += 1,
            TokenKind::Close => depth = depth.saturating_sub(1),
            // The body of an SQL-standard function has semicolons between BEGIN ATOMIC and END, and END also ends
            // a CASE: only the grammar can tell.
            TokenKind::Word if text[token.start..token.end].eq_ignore_ascii_case("atomic") => {
                if let Some(statements) = split_by_grammar(text) {
                    return statements;
                }
            }
            _ => {}
        }
        statement = Some(statement.map_or(token.start, |it| it.start)..token.end);
    }
    statements.extend(statement);
    statements
}

/// `None` when the grammar refuses the text.
fn split_by_grammar(text: &str) -> Option<Vec<Range<usize>>> {
    let pieces = pg_query::split_with_parser(text).ok()?;
    let ranges = pieces.into_iter().filter_map(|piece| {
        let start = piece.as_ptr() as usize - text.as_ptr() as usize;
        let tokens: Vec<_> = Lexer::new(piece.as_bytes()).collect();
        Some(start + tokens.first()?.start..start + tokens.last()?.end)
    });
    Some(ranges.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, statements: &[&str]) {
        let found: Vec<&str> = split_statements(text).into_iter().map(|it| &text[it]).collect();
        assert_eq!(found, statements, "{text}");
    }

    #[test]
    fn statements_end_at_semicolons() {
        check("", &[]);
        check(" ; -- nothing\n ;", &[]);
        check("SELECT 1", &["SELECT 1"]);
        check(" SELECT 1 ; ;/* ; */ SELECT 2; -- end", &["SELECT 1", "SELECT 2"]);
        check(
            "SELECT ';', \";\", $$;$$, $a$;$$;$a$, E'\\';'; SELECT 2",
            &["SELECT ';', \";\", $$;$$, $a$;$$;$a$, E'\\';'", "SELECT 2"],
        );
        check(
            "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3",
            &["CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)", "SELECT 3"],
        );
        check("SELECT 'a; SELECT 2", &["SELECT 'a; SELECT 2"]);
        check("SELECT 1); SELECT 2", &["SELECT 1)", "SELECT 2"]);
    }

    #[test]
    fn functions_with_a_standard_body_are_whole() {
        let function =
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 2 END; END";
        check(&format!("SELECT 0; {function} ; SELECT 3"), &["SELECT 0", function, "SELECT 3"]);
        check("SELECT atomic FROM t; SELECT 2", &["SELECT atomic FROM t", "SELECT 2"]);
    }
}
