//! The values that Howdah reads by itself, against a real PostgreSQL: hashes bit by bit, and the order of values.

use howdah_harness::PostgresServer;
use howdah_harness::client::Client;
use howdah_pg::TypeOid;
use howdah_pg::datum::{array_literal, is_ordered_here, ordinal};
use howdah_pg::hash::{hash_binary_value, hash_column_text, hash_text_value};
use howdah_pg::ident::{quote_ident, quote_literal};
use howdah_pg::wire::Format;

const VALUES: usize = 4000;

/// The hash of a row of one value is that value's own, by the default hash function of its type.
const HASH: &str = "hash_record(ROW(v))";

/// A type, how SQL sends a value of it, and a writer of random values.
struct Case {
    type_oid: TypeOid,
    name: &'static str,
    send: &'static str,
    value: Writer,
}

type Writer = fn(&mut Random) -> String;

const CASES: &[Case] = &[
    Case { type_oid: TypeOid::BOOL, name: "bool", send: "boolsend", value: boolean },
    Case { type_oid: TypeOid::INT2, name: "int2", send: "int2send", value: |it| integer(it, 16) },
    Case { type_oid: TypeOid::INT4, name: "int4", send: "int4send", value: |it| integer(it, 32) },
    Case { type_oid: TypeOid::INT8, name: "int8", send: "int8send", value: |it| integer(it, 64) },
    Case { type_oid: TypeOid::OID, name: "oid", send: "oidsend", value: |it| it.below(1 << 32).to_string() },
    Case { type_oid: TypeOid::FLOAT4, name: "float4", send: "float4send", value: float },
    Case { type_oid: TypeOid::FLOAT8, name: "float8", send: "float8send", value: float },
    Case { type_oid: TypeOid::NUMERIC, name: "numeric", send: "numeric_send", value: numeric },
    Case { type_oid: TypeOid::TEXT, name: "text", send: "textsend", value: text },
    Case { type_oid: TypeOid::VARCHAR, name: "varchar", send: "varcharsend", value: text },
    Case { type_oid: TypeOid::BPCHAR, name: "bpchar", send: "bpcharsend", value: text },
    Case { type_oid: TypeOid::NAME, name: "name", send: "namesend", value: text },
    Case { type_oid: TypeOid::CHAR, name: "\"char\"", send: "charsend", value: letter },
    Case { type_oid: TypeOid::BYTEA, name: "bytea", send: "byteasend", value: bytea },
    Case { type_oid: TypeOid::UUID, name: "uuid", send: "uuid_send", value: uuid },
    Case { type_oid: TypeOid::DATE, name: "date", send: "date_send", value: date },
    Case { type_oid: TypeOid::TIME, name: "time", send: "time_send", value: time },
    Case { type_oid: TypeOid::TIMESTAMP, name: "timestamp", send: "timestamp_send", value: timestamp },
    Case {
        type_oid: TypeOid::TIMESTAMPTZ,
        name: "timestamptz",
        send: "timestamptz_send",
        value: |it| format!("{}{}", timestamp(it), zone(it)),
    },
];

#[test]
fn values_hash_and_order_as_in_postgres() {
    let server = PostgresServer::start().expect("PostgreSQL starts");
    let mut client = server.client("postgres").expect("connects");
    for (seed, case) in CASES.iter().enumerate() {
        // Offsets that are no whole hours, and a style of dates that must not matter on input.
        client.rows("SET TimeZone = 'Asia/Kathmandu'").expect("sets");
        let mut random = Random(seed as u64);
        let texts: Vec<String> = (0..VALUES).map(|_| (case.value)(&mut random)).collect();
        check_case(&mut client, case, &texts);
    }
}

/// What is hashed here must be what PostgreSQL takes and hashes alike; then also in the form that it writes.
fn check_case(client: &mut Client, case: &Case, texts: &[String]) {
    let known: Vec<&str> =
        texts.iter().map(String::as_str).filter(|it| hash_text_value(case.type_oid, it).is_some()).collect();
    assert!(known.len() * 10 >= texts.len() * 9, "{} knows {} values", case.name, known.len());
    let Case { name, send, .. } = case;
    let values = quote_literal(&array_literal(known.iter().map(|it| Some(*it))));
    let sql = format!(
        "SELECT {HASH}, encode({send}(v), 'hex'), v
         FROM (SELECT t::{name} AS v, n FROM unnest({values}::text[]) WITH ORDINALITY AS u(t, n)) s ORDER BY n"
    );
    let rows = client.rows(&sql).expect("PostgreSQL reads them");
    assert_eq!(rows.len(), known.len());
    for (row, text) in rows.iter().zip(&known) {
        let [Some(hash), Some(binary), Some(written)] = row.as_slice() else {
            panic!("{name} {text:?}: {row:?}")
        };
        let hash = hash.parse().expect("an integer");
        assert_eq!(hash_text_value(case.type_oid, text), Some(hash), "{name} {text:?}");
        assert_eq!(hash_text_value(case.type_oid, written), Some(hash), "{name} {written:?}");
        assert_eq!(hash_binary_value(case.type_oid, &from_hex(binary)), Some(hash), "{name} {text:?}");
    }
    if is_ordered_here(case.type_oid) {
        check_order(client, case, &values);
    }
}

fn check_order(client: &mut Client, case: &Case, values: &str) {
    let Case { name, send, type_oid, .. } = case;
    let sql = format!(
        "SELECT v, encode({send}(v), 'hex'), dense_rank() OVER (ORDER BY v)
         FROM (SELECT t::{name} AS v FROM unnest({values}::text[]) t) s ORDER BY v"
    );
    let mut last = None;
    for row in client.rows(&sql).expect("PostgreSQL sorts them") {
        let [Some(text), Some(binary), Some(rank)] = row.as_slice() else { panic!("{name}: {row:?}") };
        let found = ordinal(*type_oid, Format::Text, text.as_bytes()).expect("is ordered here");
        assert_eq!(ordinal(*type_oid, Format::Binary, &from_hex(binary)), Some(found), "{name} {text}");
        let rank: u64 = rank.parse().expect("a number");
        if let Some((last, last_rank)) = last {
            assert_eq!(found.cmp(&last), rank.cmp(&last_rank), "{name} {text}");
        }
        last = Some((found, rank));
    }
}

#[test]
fn modifiers_do_not_change_what_is_hashed() {
    let server = PostgresServer::start().expect("PostgreSQL starts");
    let mut client = server.client("postgres").expect("connects");
    let cases: &[(TypeOid, &str, Writer)] = &[
        (TypeOid::NUMERIC, "numeric(30,2)", |it| format!("{}.{}", it.below(1000), it.below(2000))),
        (TypeOid::VARCHAR, "varchar(3)", short_text),
        (TypeOid::BPCHAR, "char(3)", short_text),
        (TypeOid::TIMESTAMP, "timestamp(2)", timestamp),
        (TypeOid::TIME, "time(1)", time),
    ];
    for (type_oid, name, value) in cases {
        let declared = format!("CREATE TEMP TABLE {} (v {name})", quote_ident(name));
        client.rows(&declared).expect("creates");
        let typmod = client
            .rows(&format!(
                "SELECT atttypmod FROM pg_attribute WHERE attrelid = '{}'::regclass AND attname = 'v'",
                quote_ident(name)
            ))
            .expect("answers")[0][0]
            .as_deref()
            .and_then(|it| it.parse().ok())
            .expect("a modifier");
        let mut random = Random(1);
        let texts: Vec<String> = (0..500).map(|_| value(&mut random)).collect();
        let known: Vec<_> =
            texts.iter().filter(|it| hash_column_text(*type_oid, typmod, it).is_some()).collect();
        assert!((1..500).contains(&known.len()), "{name} knows {}", known.len());
        let values = quote_literal(&array_literal(known.iter().map(|it| Some(it.as_str()))));
        let sql = format!(
            "SELECT {HASH} FROM (SELECT t::{name} AS v, n FROM unnest({values}::text[]) WITH ORDINALITY AS u(t, n)) s ORDER BY n"
        );
        for (row, text) in client.rows(&sql).expect("PostgreSQL reads them").iter().zip(known) {
            let hash = row[0].as_deref().and_then(|it| it.parse().ok());
            assert_eq!(hash_column_text(*type_oid, typmod, text), hash, "{name} {text:?}");
        }
    }
}

/// SplitMix64: the same values at every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

fn boolean(random: &mut Random) -> String {
    random.pick(&["t", "f", "true", "FALSE", " yes ", "n", "on", "off", "1", "0"]).into()
}

/// Of up to so many bits, all lengths alike, sometimes with blanks and signs.
fn integer(random: &mut Random, bits: u32) -> String {
    let kept = random.below(bits.into()) + 1;
    let value = (random.next() << (64 - kept)) as i64 >> (64 - kept);
    match random.below(8) {
        0 => format!(" {value}\n"),
        1 if value >= 0 => format!("+00{value}"),
        _ => value.to_string(),
    }
}

fn float(random: &mut Random) -> String {
    match random.below(6) {
        0 => random.pick(&["0", "-0", "NaN", "Infinity", "-inf", "1e-30", "3.4e38", " .5 ", "5."]).into(),
        1 => integer(random, 32),
        2 => format!("{}e{}", integer(random, 16).trim(), random.below(30)),
        _ => f32::from_bits(random.next() as u32).to_string(),
    }
}

fn numeric(random: &mut Random) -> String {
    match random.below(6) {
        0 => {
            random.pick(&["0", "-0.00", "NaN", "Infinity", "-inf", ".5", "5.", "1e20", "00100.00100"]).into()
        }
        1 => format!("{}.{:06}", integer(random, 64).trim(), random.below(1_000_000)),
        2 => format!("{}e{}", integer(random, 16).trim(), random.below(80) as i64 - 40),
        3 => format!("0.{:0width$}", random.below(1000), width = 3 + random.below(20) as usize),
        4 => format!("{}{:0width$}", 1 + random.below(99), 0, width = random.below(40) as usize),
        _ => integer(random, 64),
    }
}

fn text(random: &mut Random) -> String {
    (0..random.below(30))
        .map(|_| random.pick(&['a', 'Z', '0', ' ', '\'', '"', '\\', '\n', 'ß', '€', '🦀']))
        .collect()
}

fn short_text(random: &mut Random) -> String {
    (0..random.below(6)).map(|_| random.pick(&['a', ' ', 'ß'])).collect()
}

fn letter(random: &mut Random) -> String {
    char::from(random.below(95) as u8 + b' ').to_string()
}

fn bytea(random: &mut Random) -> String {
    match random.below(2) {
        0 => text(random).replace('\\', "/"),
        _ => (0..random.below(40)).fold("\\x".into(), |text, _| format!("{text}{:02x}", random.below(256))),
    }
}

fn uuid(random: &mut Random) -> String {
    let digits = format!("{:016x}{:016X}", random.next(), random.next());
    let [a, b, c, d, e] = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    match random.below(3) {
        0 => digits,
        1 => format!("{{{a}-{b}-{c}-{d}-{e}}}"),
        _ => format!("{a}-{b}-{c}-{d}-{e}"),
    }
}

fn date(random: &mut Random) -> String {
    let (month, day) = (random.below(12) + 1, random.below(28) + 1);
    match random.below(10) {
        0 => random
            .pick(&["infinity", "-infinity", "2000-02-29", "1600-02-29", "5874897-12-31", "4714-11-24 BC"])
            .into(),
        1 => format!("{:04}-{month:02}-{day:02} BC", random.below(4000) + 1),
        2 => format!("{}-{month:02}-{day:02}", random.below(1_000_000) + 10_000),
        _ => format!("{:04}-{month:02}-{day:02}", random.below(9999) + 1),
    }
}

fn time(random: &mut Random) -> String {
    let (hour, minute, second) = (random.below(24), random.below(60), random.below(60));
    match random.below(3) {
        0 => format!("{hour:02}:{minute:02}"),
        1 => format!("{hour:02}:{minute:02}:{second:02}"),
        _ => {
            let digits = random.below(6) as usize + 1;
            format!("{hour:02}:{minute:02}:{second:02}.{:0digits$}", random.below(10_u64.pow(digits as u32)))
        }
    }
}

fn timestamp(random: &mut Random) -> String {
    let (month, day) = (random.below(12) + 1, random.below(28) + 1);
    let year = match random.below(10) {
        0 => random.below(250_000) + 10_000,
        _ => random.below(9998) + 2,
    };
    format!("{year:04}-{month:02}-{day:02}{}{}", random.pick(&[" ", "T"]), time(random))
}

fn zone(random: &mut Random) -> String {
    let (sign, hour) = (random.pick(&["+", "-"]), random.below(15));
    match random.below(4) {
        0 => "Z".into(),
        1 => format!("{sign}{hour:02}"),
        2 => format!("{sign}{hour:02}:{:02}", random.below(60)),
        _ => format!("{sign}{hour:02}:{:02}:{:02}", random.below(60), random.below(60)),
    }
}

fn from_hex(digits: &str) -> Vec<u8> {
    let digit = |it: u8| char::from(it).to_digit(16).expect("hexadecimal") as u8;
    digits.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}
