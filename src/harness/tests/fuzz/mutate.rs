//! How inputs are changed.

use howdah_harness::generator::Random;

/// Bytes changed, removed, doubled, or taken from another input.
pub(crate) fn bytes(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut input = random.pick(seeds).clone();
    for _ in 0..1 + random.below(6) {
        let at = random.below(input.len() + 1);
        match random.below(6) {
            0 if at < input.len() => input[at] = random.below(256) as u8,
            1 if at < input.len() => input[at] ^= 1 << random.below(8),
            2 => input.truncate(at),
            3 => {
                let other = random.pick(seeds);
                let from = random.below(other.len() + 1);
                let piece = other[from..].iter().take(random.below(40)).copied().collect::<Vec<_>>();
                input.splice(at..at, piece);
            }
            4 if at < input.len() => {
                let end = (at + random.below(8)).min(input.len());
                input.drain(at..end);
            }
            _ => input.splice(at..at, interesting(random)).for_each(drop),
        }
    }
    input
}

/// Counts and lengths at their limits.
fn interesting(random: &mut Random) -> Vec<u8> {
    let values: [&[u8]; 8] = [
        &[0; 4],
        &[255; 4],
        &[0, 0, 0, 4],
        &[127, 255, 255, 255],
        &[128, 0, 0, 0],
        &[255, 255],
        &[0],
        b"'\"$$/*--",
    ];
    random.pick(&values).to_vec()
}

/// Words and signs of SQL texts changed, removed, doubled, or taken from another text; what lies between them stays.
pub(crate) fn words(random: &mut Random, seeds: &[Vec<String>]) -> String {
    let mut input = random.pick(seeds).clone();
    for _ in 0..random.below(5) {
        let at = random.below(input.len() + 1);
        match random.below(5) {
            0 if at < input.len() => {
                let other = random.pick(seeds);
                input[at] = random.pick(other).clone();
            }
            1 if at < input.len() => drop(input.remove(at)),
            2 => {
                let other = random.pick(seeds);
                let from = random.below(other.len());
                let end = (from + random.below(12)).min(other.len());
                input.splice(at..at, other[from..end].iter().cloned());
            }
            3 => input.insert(at, random.pick(&SPICES).to_string()),
            _ if at < input.len() => {
                let other = random.below(input.len());
                input.swap(at, other);
            }
            _ => {}
        }
    }
    input.concat()
}

const SPICES: [&str; 16] = [
    " /* a /* b */ c */ ",
    " -- x\n",
    " E'\\'' ",
    " U&'\\0041' ",
    " U&\"\\0065vents\" ",
    " $$ ; $$ ",
    " $a$'$a$ ",
    " \"events\" ",
    " 'it''s' ",
    " 1e5 ",
    " 0x1F ",
    " - 7 ",
    " B'01' ",
    " 'a'\n'b' ",
    "é",
    " ; ",
];

/// A text in pieces: words, numbers, strings, blanks and signs. It need not be PostgreSQL's way to cut it.
pub(crate) fn pieces(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut kind = None;
    for letter in text.chars() {
        let its = match letter {
            it if it.is_alphanumeric() || it == '_' => 0,
            it if it.is_whitespace() => 1,
            _ => 2,
        };
        match pieces.last_mut() {
            Some(last) if kind == Some(its) && its != 2 => last.push(letter),
            _ => pieces.push(letter.to_string()),
        }
        kind = Some(its);
    }
    pieces
}
