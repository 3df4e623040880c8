use std::fmt::Write;

use expect_test::{Expect, expect};
use pg_query::protobuf::Token;
use proptest::prelude::*;

use super::*;

#[expect(clippy::needless_pass_by_value)]
fn check(text: &str, expected: Expect) {
    let shown = match shape(text) {
        None => "no shape".to_owned(),
        Some(shape) => {
            assert_eq!(spliced(&shape, text.as_bytes()), text.as_bytes());
            let mut shown = String::from_utf8(shape.bytes).expect("UTF-8").replace('\0', "␀");
            for literal in shape.literals {
                let value = literal.value(text.as_bytes());
                write!(shown, "\n{:?} {}", literal.kind, String::from_utf8_lossy(&value)).expect("writes");
            }
            shown
        }
    };
    expected.assert_eq(&shown);
}

/// The text that a shape and its literals give back.
fn spliced(shape: &Shape, text: &[u8]) -> Vec<u8> {
    let mut literals = shape.literals.iter();
    let mut spliced = Vec::new();
    let mut bytes = shape.bytes.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            0 => {
                let literal = literals.next().expect("a literal for each slot");
                assert_eq!(bytes.next(), Some(&(literal.kind as u8)));
                spliced.extend_from_slice(literal.text(text));
            }
            byte => spliced.push(*byte),
        }
    }
    assert_eq!(literals.next(), None);
    spliced
}

#[test]
fn literals_become_slots() {
    check(
        "SELECT * FROM t WHERE id = 42 AND name = 'it''s' -- 7\n",
        expect![[r#"
            SELECT * FROM t WHERE id = ␀4 AND name = ␀s -- 7

            Int4 42
            String it's"#]],
    );
    check(
        "VALUES (2147483647, 2147483648, 9223372036854775807, 9223372036854775808, -1, 007)",
        expect![[r#"
            VALUES (␀4, ␀8, ␀8, ␀n, -␀4, ␀4)
            Int4 2147483647
            Int8 2147483648
            Int8 9223372036854775807
            Numeric 9223372036854775808
            Int4 1
            Int4 007"#]],
    );
    check(
        "SELECT date'2024-01-01',''",
        expect![[r#"
        SELECT date␀s,␀s
        String 2024-01-01
        String "#]],
    );
    check(
        "SELECT 1/2,a[1:2],5-3",
        expect![[r#"
        SELECT ␀4/␀4,a[␀4:␀4],␀4-␀4
        Int4 1
        Int4 2
        Int4 1
        Int4 2
        Int4 5
        Int4 3"#]],
    );
}

#[test]
fn all_else_stays() {
    for text in [
        r#"SELECT E'a\'b', e'\\', E'''', B'101', x'1F', N'n', U&'\0041', U&'d!0041' UESCAPE '!', U&"\0041""#,
        "SELECT 1.5, .5, 1., 1e5, 1E-5, 1e+5, 0x1F, 0b1, 0o7, 1_000, 1.5e3, 1a, 1.a",
        "SELECT $1, $2::int, $1a, $1e'5', t.a1, a$1, _1, ü1",
        "SELECT $$5 'x' $$, $a$ $$ 5 $b$ $a$, $ä$5$ä$",
        "SELECT \"5\", \"a\"\"5\", \"'\"",
        "/* 5 /* 'x' */ 6 */ SELECT a --5'\n, b",
        "SELECT 'a'\n'b', 'a' \t-- c 'd'\n -- e\n 'b'",
        "FOR i IN a..b, .1.5",
        "",
    ] {
        let shape = shape(text).expect("a shape");
        assert_eq!(shape.literals, [], "{text}");
        assert_eq!(shape.bytes, text.as_bytes());
    }
}

#[test]
fn signs_do_not_mislead() {
    check(
        "SELECT 1--2\n+3",
        expect![[r#"
        SELECT ␀4--2
        +␀4
        Int4 1
        Int4 3"#]],
    );
    check(
        "SELECT 1*/*2*/3 @-4",
        expect![[r#"
        SELECT ␀4*/*2*/␀4 @-␀4
        Int4 1
        Int4 3
        Int4 4"#]],
    );
    check(
        "SELECT 'a' 'b', 'c' /* \n */ 'd'",
        expect![[r#"
        SELECT ␀s ␀s, ␀s /* 
         */ ␀s
        String a
        String b
        String c
        String d"#]],
    );
    check(
        "SELECT B'1''2'",
        expect![[r#"
        SELECT B'1'␀s
        String 2"#]],
    );
    check(
        "SELECT 1$$2$$, $5 6",
        expect![[r#"
        SELECT ␀4$$2$$, $5 ␀4
        Int4 1
        Int4 6"#]],
    );
}

#[test]
fn a_text_without_end_has_no_shape() {
    for text in
        ["'", "SELECT 'a''", "E'\\'", "\"a", "/* /* */", "$$ $", "$a$ $$", "'a'\n'", "B'1", "U&'", "a\0b"]
    {
        assert_eq!(shape(text), None, "{text:?}");
    }
}

/// The slots must be the constants that PostgreSQL's own scanner finds.
fn check_against_scanner(text: &str) {
    let Ok(scanned) = pg_query::scan(text) else { return };
    let Some(shape) = shape(text) else { panic!("no shape of {text:?}") };
    let mut before = Token::Nul;
    let mut expected = Vec::new();
    for token in &scanned.tokens {
        let written = &text.as_bytes()[token.start as usize..token.end as usize];
        let is_slot = match token.token() {
            Token::Iconst | Token::Fconst => written.iter().all(u8::is_ascii_digit),
            // N'…' is the keyword NCHAR and a string for the scanner.
            Token::Sconst => {
                let prefixed = before == Token::Nchar
                    && text.as_bytes()[token.start as usize - 1].eq_ignore_ascii_case(&b'n');
                written[0] == b'\'' && is_one_piece(written) && !prefixed && before != Token::Uescape
            }
            _ => false,
        };
        if is_slot {
            expected.push((token.start as usize, token.end as usize));
        }
        if !matches!(token.token(), Token::SqlComment | Token::CComment) {
            before = token.token();
        }
    }
    let found: Vec<_> = shape.literals.iter().map(|it| (it.start, it.end)).collect();
    assert_eq!(found, expected, "{text:?}");
}

fn is_one_piece(written: &[u8]) -> bool {
    let inside = &written[1..written.len() - 1];
    let quotes = inside.iter().filter(|it| **it == b'\'').count();
    String::from_utf8_lossy(inside).matches("''").count() * 2 == quotes
}

#[test]
fn agrees_with_the_scanner_on_sql() {
    for text in [
        "SELECT a.b, count(*) FILTER (WHERE x > 5) OVER (PARTITION BY y ORDER BY z ROWS 1 PRECEDING) FROM t LIMIT 10 OFFSET 5;",
        "INSERT INTO t (a, b) VALUES (1, 'x'), (-2, 'y''z') ON CONFLICT (a) DO UPDATE SET b = excluded.b || '!' RETURNING *",
        "SELECT '{\"a\": 1}'::jsonb -> 'a', x->>'b', '2024-01-01'::date + interval '1 day', ARRAY[1,2,3][1:2]",
        "UPDATE t SET a = a+1,b=-1.5e-3,c=.25 WHERE d IN (1,2,3)AND e BETWEEN'a'AND'b'",
        "SELECT 1--comment 'x'\n,2/*'*/,3*/**/4 FROM t WHERE a<-1 AND b>=+1 AND c!=-1 AND d@>'{}' AND e ?| array['f']",
        "DO $body$ BEGIN FOR i IN 1..10 LOOP PERFORM f('x', 5); END LOOP; END $body$ LANGUAGE plpgsql",
        "SELECT 'äöü', \"ÄÖ\", 'a' \n 'b', E'\\n', 5 AS \"5\", u.x1, $1 + 5, 100000000000000000000",
    ] {
        check_against_scanner(text);
    }
}

/// PROPTEST_CASES asks for more cases.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases.max(4000), failure_persistence: None, ..default }
}

/// Fragments whose seams are where a lexer goes wrong.
fn fragment() -> impl Strategy<Value = String> {
    let fixed = prop::sample::select(vec![
        "'",
        "''",
        "'a'",
        "\"",
        "\"a\"",
        "$",
        "$$",
        "$a$",
        "$1",
        "--",
        "-",
        "/*",
        "*/",
        "/",
        "*",
        "\n",
        " ",
        "\\",
        "E",
        "e'",
        "B'",
        "X'",
        "N'",
        "U&",
        "U&'",
        "u&\"",
        "UESCAPE ",
        ".",
        "..",
        "1",
        "12",
        "0x",
        "1e",
        "e5",
        "+",
        "_",
        "a",
        "é",
        "(",
        ")",
        ";",
        ",",
        "::",
        "@",
        "\r",
        "\t",
        "99999999999",
        "0",
        "b1",
        "=",
    ]);
    prop_oneof![9 => fixed.prop_map(String::from), 1 => "[^\0]{0,3}"]
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(fragment(), 0..14).prop_map(|it| it.concat())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn literals_give_the_text_back(text in text()) {
        if let Some(shape) = shape(&text) {
            prop_assert_eq!(spliced(&shape, text.as_bytes()), text.as_bytes());
        }
    }

    #[test]
    fn agrees_with_the_scanner(text in text()) {
        check_against_scanner(&text);
    }

    #[test]
    fn no_bytes_panic(text: Vec<u8>) {
        let _ = shape(&text);
    }
}
