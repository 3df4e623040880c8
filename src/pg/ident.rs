//! Names and literals as SQL text.

use std::borrow::Cow;

use bytes::BufMut;

use crate::hash::hash_bytes;
use crate::keywords::is_keyword;

/// Bytes of storage of a `name`, with its terminating zero.
pub const NAMEDATALEN: usize = 64;

/// Clips an identifier to what PostgreSQL keeps of it, never inside a UTF-8 character.
pub fn truncate_identifier(name: &str) -> &str {
    clip(name, NAMEDATALEN - 1)
}

/// `quote_ident`: quotes a name unless it reads as itself without.
pub fn quote_ident(name: &str) -> Cow<'_, str> {
    if is_safe(name) {
        return Cow::Borrowed(name);
    }
    let mut quoted = String::with_capacity(name.len() + 2);
    quoted.push('"');
    for character in name.chars() {
        if character == '"' {
            quoted.push('"');
        }
        quoted.push(character);
    }
    quoted.push('"');
    Cow::Owned(quoted)
}

/// A schema-qualified name: `public."Order"`.
pub fn qualified_name(schema: &str, name: &str) -> String {
    format!("{}.{}", quote_ident(schema), quote_ident(name))
}

/// `quote_literal`: reads as `text` whatever `standard_conforming_strings` says.
pub fn quote_literal(text: &str) -> String {
    let mut quoted = Vec::with_capacity(text.len() + 3);
    put_literal(&mut quoted, text.as_bytes());
    String::from_utf8(quoted).expect("quoting adds only ASCII")
}

/// Appends [`quote_literal`] of text in any encoding that a server can have (in those no part of a longer
/// character looks like a quote or backslash).
pub fn put_literal(buf: &mut impl BufMut, text: &[u8]) {
    if memchr::memchr(b'\\', text).is_some() {
        buf.put_u8(b'E');
    }
    buf.put_u8(b'\'');
    let mut rest = text;
    while let Some(at) = memchr::memchr2(b'\'', b'\\', rest) {
        buf.put_slice(&rest[..=at]);
        buf.put_u8(rest[at]);
        rest = &rest[at + 1..];
    }
    buf.put_slice(rest);
    buf.put_u8(b'\'');
}

/// The name of a shard, or of an index or constraint on it: `<name>_<shardid>`.
///
/// What would be too long is clipped and carries the hash of the whole name, as Citus does, so that
/// names that differ only at their end stay different.
pub fn shard_name(name: &str, shard_id: i64) -> String {
    let suffix = format!("_{shard_id}");
    if name.len() + suffix.len() < NAMEDATALEN {
        return format!("{name}{suffix}");
    }
    let kept = clip(name, NAMEDATALEN - suffix.len() - "_01234567".len() - 1);
    format!("{kept}_{:08x}{suffix}", hash_bytes(name.as_bytes()))
}

fn clip(name: &str, bytes: usize) -> &str {
    &name[..name.floor_char_boundary(bytes)]
}

fn is_safe(name: &str) -> bool {
    let letters = |it: u8| it.is_ascii_lowercase() || it == b'_';
    name.bytes().next().is_some_and(letters)
        && name.bytes().all(|it| letters(it) || it.is_ascii_digit())
        && !is_keyword(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_names_as_postgres() {
        for plain in ["a", "_1", "orders_102008", "name", "abort"] {
            assert_eq!(quote_ident(plain), plain);
        }
        for (name, quoted) in [
            ("", r#""""#),
            ("A", r#""A""#),
            ("1a", r#""1a""#),
            ("a b", r#""a b""#),
            ("a$", r#""a$""#),
            ("über", r#""über""#),
            ("select", r#""select""#),
            ("user", r#""user""#),
            ("left", r#""left""#),
            ("int", r#""int""#),
            (r#"a"b"#, r#""a""b""#),
        ] {
            assert_eq!(quote_ident(name), quoted);
        }
        assert_eq!(qualified_name("public", "Order"), r#"public."Order""#);
    }

    #[test]
    fn quotes_literals_as_postgres() {
        for (text, quoted) in
            [("", "''"), ("a", "'a'"), ("it's", "'it''s'"), (r"a\b'c", r"E'a\\b''c'"), ("\n", "'\n'")]
        {
            assert_eq!(quote_literal(text), quoted);
        }
    }

    #[test]
    fn shard_names_fit() {
        assert_eq!(shard_name("orders", 102_008), "orders_102008");
        let long = "a".repeat(56);
        assert_eq!(shard_name(&long, 102_008), format!("{long}_102008"));
        for name in ["b".repeat(57), "ü".repeat(31)] {
            let shard = shard_name(&name, 102_008);
            assert!(shard.len() < NAMEDATALEN && shard.ends_with("_102008"), "{shard}");
        }
    }

    #[test]
    fn truncation_keeps_characters_whole() {
        assert_eq!(truncate_identifier("t"), "t");
        assert_eq!(truncate_identifier(&"ü".repeat(40)), "ü".repeat(31));
    }
}
