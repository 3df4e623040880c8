//! Our lexer against PostgreSQL's: where the grammar accepts a text, both must see the same literals and statements.

use howdah_harness::generator::Random;
use howdah_sql::{RelationNames, may_mention, parse, relation_names, shape, split_statements};

use super::{mutate, run};

#[test]
fn texts_are_cut_as_postgres_cuts_them() {
    let seeds = seeds();
    let make = |random: &mut Random| match random.chance(70) {
        true => mutate::words(random, &seeds),
        false => {
            let texts: Vec<Vec<u8>> =
                vec![random.pick(&seeds).concat().into_bytes(), random.pick(&seeds).concat().into_bytes()];
            String::from_utf8_lossy(&mutate::bytes(random, &texts)).into_owned()
        }
    };
    run("lexer", |it| String::from_utf8_lossy(it).into_owned(), make, |input| check(input));
}

/// The statements of the planner's cases, in pieces.
pub(crate) fn seeds() -> Vec<Vec<String>> {
    let cases = [
        include_str!("../../../planner/tests/router.txt"),
        include_str!("../../../planner/tests/not_router.txt"),
        include_str!("../../../planner/tests/insert.txt"),
        include_str!("../../../planner/tests/modify.txt"),
        include_str!("../../../planner/tests/ladder.txt"),
        include_str!("../../../planner/pushdown/tests/cases.txt"),
    ];
    let texts = cases.iter().flat_map(|it| it.split("\n\n")).filter_map(|it| it.split("\n----").next());
    let texts = texts.map(|it| it.lines().filter(|it| !it.starts_with('#')).collect::<Vec<_>>().join("\n"));
    texts.filter(|it| !it.trim().is_empty()).map(|it| mutate::pieces(&it)).collect()
}

fn check(text: &str) {
    if let Some(shape) = shape(text) {
        gives_the_text_back(text, &shape);
    }
    let pieces = split_statements(text);
    let Ok(statements) = parse(text) else { return };
    if text.contains('\0') {
        return;
    }
    assert_eq!(pieces.len(), statements.len(), "as many statements");
    for (piece, statement) in pieces.iter().zip(&statements) {
        let alone = parse(&text[piece.clone()]).expect("a piece parses by itself");
        assert_eq!(alone.len(), 1);
        assert_eq!(alone[0].kind(), statement.kind());
        literals_are_tokens(&text[piece.clone()]);
    }
    for statement in &statements {
        if let RelationNames::Exact(names) = relation_names(statement) {
            for name in names {
                assert!(may_mention(text, |it| it == name.name), "{name:?} is overlooked");
            }
        }
    }
}

fn gives_the_text_back(text: &str, shape: &howdah_sql::Shape) {
    let mut again = Vec::new();
    let mut literals = shape.literals.iter();
    let mut bytes = shape.bytes.iter();
    while let Some(byte) = bytes.next() {
        if *byte == 0 {
            bytes.next().expect("a slot has a kind");
            again.extend_from_slice(literals.next().expect("a slot has a literal").text(text.as_bytes()));
        } else {
            again.push(*byte);
        }
    }
    assert!(literals.next().is_none() && again == text.as_bytes(), "shape and literals give the text back");
}

/// A literal of the shape is one token of PostgreSQL's scanner.
fn literals_are_tokens(text: &str) {
    let Some(shape) = shape(text) else { return };
    let Some(statement) = parse(text).ok().and_then(|mut it| it.pop()) else { return };
    let Ok(tokens) = statement.tokens() else { return };
    for literal in &shape.literals {
        let token = tokens.at(literal.start).and_then(|it| tokens.range(it));
        let token = token.unwrap_or_else(|| panic!("no token begins with the literal at {}", literal.start));
        assert_eq!(token, literal.start..literal.end, "a literal is a whole token");
    }
}
