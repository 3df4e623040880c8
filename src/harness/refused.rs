//! The tables of docs/refused.md: what a group refuses, and with which words.

use std::sync::OnceLock;

use crate::group::repository_root;

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    pub line: usize,
    pub statement: String,
    pub sqlstate: String,
    /// Part of the message.
    pub message: String,
}

/// Every row of the tables, in order.
pub fn refusals() -> &'static [Refusal] {
    static REFUSALS: OnceLock<Vec<Refusal>> = OnceLock::new();
    REFUSALS.get_or_init(|| {
        let path = repository_root().join("docs/refused.md");
        let text = std::fs::read_to_string(path).expect("docs/refused.md is read");
        text.lines().enumerate().filter_map(|(number, line)| refusal(number + 1, line)).collect()
    })
}

/// Whether a message of a refusal is among them, whatever the names in it.
pub fn is_documented(sqlstate: &str, message: &str) -> bool {
    let message = unnamed(message);
    refusals().iter().any(|it| it.sqlstate == sqlstate && message.contains(&unnamed(&it.message)))
}

/// Without what stands in quotes.
fn unnamed(message: &str) -> String {
    message.split('"').step_by(2).collect()
}

/// ``| `statement` | `SQLSTATE` message | why |``
fn refusal(line: usize, row: &str) -> Option<Refusal> {
    let (statement, rest) = row.strip_prefix("| `")?.split_once("` | `")?;
    let (sqlstate, rest) = rest.split_once("` ")?;
    let (message, _) = rest.split_once(" |")?;
    Some(Refusal { line, statement: statement.into(), sqlstate: sqlstate.into(), message: message.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read() {
        let refusal = refusal(7, "| `SELECT 1` | `0A000` no such thing | because |").expect("a refusal");
        assert_eq!((refusal.statement.as_str(), refusal.message.as_str()), ("SELECT 1", "no such thing"));
        assert!(refusals().len() > 30);
        assert!(is_documented("0A000", "cannot create constraint on \"bookings\""));
        assert!(!is_documented("0A000", "cannot do that"));
    }
}
