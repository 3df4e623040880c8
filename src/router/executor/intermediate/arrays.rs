//! Rows as parameters: one array literal a column.

use bytes::{BufMut, Bytes, BytesMut};

use super::Rows;
use crate::settings::Settings;

/// The values of the first columns as array literals.
pub(crate) fn arrays_of(rows: &Rows, columns: usize) -> Vec<Bytes> {
    let mut arrays = vec![BytesMut::from(&b"{"[..]); columns];
    for (number, row) in rows.iter().enumerate() {
        for (array, value) in arrays.iter_mut().zip(rows.texts(row)) {
            if number > 0 {
                array.put_u8(b',');
            }
            put_element(array, value.as_deref());
        }
    }
    arrays.iter_mut().for_each(|it| it.put_u8(b'}'));
    arrays.into_iter().map(BytesMut::freeze).collect()
}

/// Whether what is escaped here would break letters of the session's encoding: a byte of one may look like a backslash.
pub(crate) fn splits_letters(settings: &Settings) -> bool {
    const EMBEDS_ASCII: [&str; 7] = ["BIG5", "GBK", "GB18030", "JOHAB", "SJIS", "SHIFT_JIS_2004", "UHC"];
    EMBEDS_ASCII.contains(&settings.get("client_encoding").unwrap_or_default())
}

fn put_element(array: &mut BytesMut, value: Option<&[u8]>) {
    let Some(value) = value else { return array.put_slice(b"NULL") };
    // Numbers, dates and the like need no quotes; a word could be NULL.
    let plain = |it: &u8| it.is_ascii_digit() || matches!(it, b'-' | b'.' | b':' | b'+');
    if !value.is_empty() && value.iter().all(plain) {
        return array.put_slice(value);
    }
    array.put_u8(b'"');
    for byte in value {
        if matches!(byte, b'"' | b'\\') {
            array.put_u8(b'\\');
        }
        array.put_u8(*byte);
    }
    array.put_u8(b'"');
}

/// A query for the rows of array parameters, the first of which is `$first`: columns c0, c1, … of these types.
pub(crate) fn from_arrays<'t>(types: impl IntoIterator<Item = &'t str>, first: usize) -> String {
    let columns = types.into_iter().enumerate().map(|(number, name)| column(number, name, first + number));
    let (values, arrays): (Vec<String>, Vec<String>) = columns.unzip();
    let names: Vec<String> = (0..values.len()).map(|it| format!("c{it}")).collect();
    format!("SELECT {} FROM ROWS FROM ({}) AS u({})", values.join(", "), arrays.join(", "), names.join(", "))
}

/// A column of type `name` from an array parameter: the expression, and what it is taken from.
fn column(number: usize, name: &str, parameter: usize) -> (String, String) {
    // An array of arrays is one array with more dimensions: such values travel as text.
    match name.ends_with("[]") {
        true => {
            (format!("u.c{number}::{name}"), format!("pg_catalog.unnest(${parameter}::pg_catalog.text[])"))
        }
        false => (format!("u.c{number}"), format!("pg_catalog.unnest(${parameter}::{name}[])")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_quoted_where_they_must() {
        let mut array = BytesMut::new();
        for value in [Some(&b"-1.5"[..]), None, Some(b""), Some(b"null"), Some(b"a\"b\\c"), Some(b"{1}")] {
            put_element(&mut array, value);
            array.put_u8(b',');
        }
        assert_eq!(&array[..], br#"-1.5,NULL,"","null","a\"b\\c","{1}","#);
    }

    #[test]
    fn arrays_travel_as_text() {
        assert_eq!(
            from_arrays(["bigint", "integer[]"], 2),
            "SELECT u.c0, u.c1::integer[] FROM ROWS FROM \
             (pg_catalog.unnest($2::bigint[]), pg_catalog.unnest($3::pg_catalog.text[])) AS u(c0, c1)"
        );
    }
}
