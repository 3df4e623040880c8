//! Integers and booleans as text.

/// Reads an integer as `pg_strtoint64` of PostgreSQL 15 does: blanks around it and a sign are fine. What newer
/// servers read as well (`0x1F`, `1_000`) is `None`, as is what no `i64` holds.
pub fn parse_integer(text: &str) -> Option<i64> {
    let text = trim_blanks(text);
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// Reads the words for true and false in any case; not their abbreviations, except for the usual ones.
pub fn parse_bool(text: &str) -> Option<bool> {
    let word = trim_blanks(text);
    let is = |words: &[&str]| words.iter().any(|it| it.eq_ignore_ascii_case(word));
    match () {
        () if is(&["t", "true", "y", "yes", "on", "1"]) => Some(true),
        () if is(&["f", "false", "n", "no", "off", "0"]) => Some(false),
        () => None,
    }
}

/// Takes off what `isspace` of the C locale calls blank.
pub(crate) fn trim_blanks(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_integers_as_postgres() {
        for (text, value) in [
            ("0", Some(0)),
            (" -12\n", Some(-12)),
            ("+7", Some(7)),
            ("007", Some(7)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("", None),
            ("-", None),
            ("+-1", None),
            ("- 1", None),
            ("1.0", None),
            ("0x1F", None),
            ("1_000", None),
            ("٣", None),
        ] {
            assert_eq!(parse_integer(text), value, "{text:?}");
        }
    }
}
