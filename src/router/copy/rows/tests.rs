use super::*;

fn layout(format: Format, columns: &[&str], distribution: usize) -> Layout {
    Layout {
        format,
        header: false,
        keeps_header: false,
        columns: columns.iter().map(|it| (*it).to_owned()).collect(),
        distribution,
    }
}

/// Reads everything, the input cut into messages of `chunk` bytes; a line per row: number, key, bytes.
fn read(layout: &Layout, input: &[u8], chunk: usize) -> Result<Vec<String>, String> {
    let mut rows = Rows::new(layout.clone());
    let mut buffer = Vec::new();
    let mut lines = Vec::new();
    let mut chunks = input.chunks(chunk).peekable();
    loop {
        let chunk = chunks.next();
        buffer.extend_from_slice(chunk.unwrap_or_default());
        let at_end = chunk.is_none();
        loop {
            let result = rows.next(&buffer, at_end);
            let (used, row) = result.map_err(|error| format!("line {}: {error}", rows.line()))?;
            let found = row.is_some();
            if let Some(row) = row {
                let key = match row.distribution {
                    Field::Null => "NULL".to_owned(),
                    Field::Value(value) => format!("{:?}", String::from_utf8_lossy(&value)),
                };
                lines.push(format!("{} {} {:?}", row.line, key, String::from_utf8_lossy(row.bytes)));
            }
            buffer.drain(..used);
            if !found {
                break;
            }
        }
        if at_end {
            return Ok(lines);
        }
    }
}

#[track_caller]
fn check(layout: &Layout, input: &[u8], expected: &[&str]) {
    for chunk in [1, 2, 3, 7, 1000] {
        let found = read(layout, input, chunk).unwrap_or_else(|error| vec![error]);
        assert_eq!(found, expected, "in messages of {chunk} bytes");
    }
}

#[test]
fn text_rows() {
    let two = layout(Format::text(), &["a", "b"], 1);
    check(&two, b"1\t2\n3\t\\N\n", &[r#"1 "2" "1\t2""#, r#"2 NULL "3\t\\N""#]);
    check(&two, b"1\tlast", &[r#"1 "last" "1\tlast""#]);
    check(&two, b"1\t2\r\n3\t4\r\n", &[r#"1 "2" "1\t2""#, r#"2 "4" "3\t4""#]);
    check(&two, b"1\t2\r3\t4\r", &[r#"1 "2" "1\t2""#, r#"2 "4" "3\t4""#]);
    check(&two, b"1\t2\n\\.\n3\t4\n", &[r#"1 "2" "1\t2""#]);
    check(&two, b"", &[]);
}

#[test]
fn text_escapes() {
    let two = layout(Format::text(), &["a", "b"], 0);
    check(&two, b"a\\\tb\tc\n", &[r#"1 "a\tb" "a\\\tb\tc""#]);
    check(&two, b"\\x41\\101\\n\\\\\\q\tc\n", &[r#"1 "AA\n\\q" "\\x41\\101\\n\\\\\\q\tc""#]);
    check(&two, b"a\\\nb\tc\n", &[r#"1 "a\nb" "a\\\nb\tc""#]);
}

#[test]
fn wrong_numbers_of_fields() {
    let two = layout(Format::text(), &["a", "b"], 0);
    check(&two, b"1\t2\n3\n", &["line 2: missing data for column \"b\""]);
    check(&two, b"1\t2\n3\t4\t5\n", &["line 2: extra data after last expected column"]);
    check(&two, b"1\t2\n\n", &["line 2: missing data for column \"b\""]);
    check(&two, b"1\t2\n3\t4\r\n", &["line 2: literal carriage return found in data"]);
}

#[test]
fn csv_rows() {
    let two = layout(Format::csv(), &["a", "b"], 1);
    check(&two, b"1,2\n3,\n4,\"\"\n", &[r#"1 "2" "1,2""#, r#"2 NULL "3,""#, r#"3 "" "4,\"\"""#]);
    check(&two, b"\"x,\"\"y\n\",\"a\"\"b\"\n", &[r#"2 "a\"b" "\"x,\"\"y\n\",\"a\"\"b\"""#]);
    check(&two, b"1,a\"b,c\"d\n", &[r#"1 "ab,cd" "1,a\"b,c\"d""#]);
    check(&two, b"1,\"open\n", &["line 2: unterminated CSV quoted field"]);
    check(&two, b"1,2,3\n", &["line 1: extra data after last expected column"]);
}

#[test]
fn csv_with_another_escape() {
    let format = Format::Csv {
        delimiter: b';',
        null: b"null".to_vec(),
        quote: b'\'',
        escape: b'\\',
        distribution_null: CsvNull { force_null: true, force_not_null: false },
    };
    let two = layout(format, &["a", "b"], 1);
    check(&two, b"1;'it\\'s'\n2;'null'\n", &[r#"1 "it's" "1;'it\\'s'""#, r#"2 NULL "2;'null'""#]);
}

#[test]
fn a_header_is_skipped_and_counted() {
    let mut two = layout(Format::csv(), &["a", "b"], 0);
    two.header = true;
    check(&two, b"a,b\n1,2\n", &[r#"2 "1" "1,2""#]);
}

#[test]
fn binary_rows() {
    let two = layout(Format::Binary, &["a", "b"], 1);
    let mut file = SIGNATURE.to_vec();
    file.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0]);
    let row = [&[0, 2][..], &(-1i32).to_be_bytes(), &3i32.to_be_bytes(), b"xyz"].concat();
    file.extend_from_slice(&row);
    let shown = format!("1 \"xyz\" {:?}", String::from_utf8_lossy(&row));
    check(&two, &[&file[..], &[0xff, 0xff]].concat(), &[&shown]);
    check(&two, &file, &[&shown]);
    check(&two, &file[..file.len() - 1], &["line 0: unexpected EOF in COPY data"]);
    check(&two, &[&file[..], &[0, 3]].concat(), &["line 2: row field count is 3, expected 2"]);
    check(&two, b"PGCOPX and more", &["line 0: COPY file signature not recognized"]);
}
