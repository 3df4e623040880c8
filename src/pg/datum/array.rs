//! Arrays as text.

use bytes::BufMut;

/// Appends the literal of a one-dimensional array: `{"a",NULL,"b\"c"}`. Every element is quoted, so it reads as
/// itself whatever it contains; true of every element type that separates by comma (all but `box`).
pub fn put_array_literal<'v>(buf: &mut impl BufMut, elements: impl IntoIterator<Item = Option<&'v [u8]>>) {
    buf.put_u8(b'{');
    for (index, element) in elements.into_iter().enumerate() {
        if index > 0 {
            buf.put_u8(b',');
        }
        match element {
            None => buf.put_slice(b"NULL"),
            Some(element) => put_element(buf, element),
        }
    }
    buf.put_u8(b'}');
}

/// As [`put_array_literal`], as a string.
pub fn array_literal<'v>(elements: impl IntoIterator<Item = Option<&'v str>>) -> String {
    let mut literal = Vec::new();
    put_array_literal(&mut literal, elements.into_iter().map(|it| it.map(str::as_bytes)));
    String::from_utf8(literal).expect("quoting adds only ASCII")
}

fn put_element(buf: &mut impl BufMut, element: &[u8]) {
    buf.put_u8(b'"');
    let mut rest = element;
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
        buf.put_slice(&rest[..at]);
        buf.put_slice(&[b'\\', rest[at]]);
        rest = &rest[at + 1..];
    }
    buf.put_slice(rest);
    buf.put_u8(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_every_element() {
        assert_eq!(array_literal([]), "{}");
        assert_eq!(array_literal([Some("a"), None, Some("NULL"), Some("")]), r#"{"a",NULL,"NULL",""}"#);
        assert_eq!(array_literal([Some(r#"a"b\c,{"#)]), r#"{"a\"b\\c,{"}"#);
    }
}
