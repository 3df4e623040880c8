//! Clients that speak other encodings than the database: letters stay what they are on every rung, or the statement is refused.

use howdah_harness::client::Client;
use howdah_harness::expect::{rows, run};
use howdah_harness::group::{LocalGroup, Options};

/// Letters are written and looked at on the server, so that the statements themselves are ASCII: é, 表 (in Shift JIS its second byte
/// is a backslash), 能 (a backslash as well) and a plain backslash with a quote.
const SETUP: &str = "
    CREATE TABLE words (k int PRIMARY KEY, v text);
    SELECT create_distributed_table('words', 'k');
    CREATE TABLE other (v text, k int);
    SELECT create_distributed_table('other', 'k', colocate_with => 'none');
    CREATE FUNCTION put(key int, letter text) RETURNS void LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO words VALUES (key, letter); UPDATE words SET v = v || letter WHERE k = key; END $$;
    CREATE FUNCTION get(key int) RETURNS text LANGUAGE plpgsql AS
        $$ DECLARE found text; BEGIN SELECT v INTO found FROM words WHERE k = key; RETURN found; END $$;
    CREATE FUNCTION letter(code int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN chr(code); END $$";

/// What each says must be what PostgreSQL says of one table, whatever the encoding.
const READS: [(&str, &str); 8] = [
    ("SELECT length(get(1)), ascii(get(1))", "2|LETTER"),
    ("SELECT k FROM words WHERE v = get(1)", "1"),
    ("SELECT length(v), count(*) FROM words GROUP BY v ORDER BY length(v), count(*) DESC LIMIT 1", "2|1"),
    ("SELECT ascii(min(v)), length(string_agg(v, ',' ORDER BY k)) FROM words WHERE k < 3", "LETTER|7"),
    ("SELECT count(DISTINCT v), ascii(max(v)) FROM words WHERE k = 1", "1|LETTER"),
    (
        "SELECT ascii(a.v) FROM words a JOIN words b ON a.v = b.v AND a.k <> b.k + 100 WHERE a.k = 1 AND b.k = 1",
        "LETTER",
    ),
    ("SELECT ascii(v) FROM words ORDER BY k LIMIT 1", "LETTER"),
    ("SELECT DISTINCT ascii(v) FROM words WHERE k = 1 ORDER BY 1", "LETTER"),
];

#[test]
fn letters_stay_what_they_are() {
    let options = Options { shard_count: 4, ..Options::default() };
    let group = LocalGroup::start(env!("CARGO_BIN_EXE_howdah"), &options).expect("the group starts");
    let mut client = group.connect().expect("a connection");
    SETUP.split(";\n    ").for_each(|sql| run(&mut client, sql));
    for (encoding, letter) in
        [("UTF8", 8364), ("LATIN1", 233), ("EUC_JP", 34920), ("SJIS", 34920), ("SJIS", 33021), ("GBK", 34920)]
    {
        run(&mut client, &format!("SET client_encoding = '{encoding}'"));
        run(&mut client, &format!("SELECT put(1, chr({letter})), put(2, chr({letter}) || '\\\"')"));
        for (sql, expected) in READS {
            // The second row has three letters, twice.
            let expected = expected.replace("LETTER", &letter.to_string()).replace("|7", "|9");
            assert_eq!(one(&mut client, sql), expected, "{encoding}: {sql}");
        }
        right_or_refused(
            &mut client,
            &format!("INSERT INTO words VALUES (3, letter({letter}))"),
            "SELECT ascii(v) FROM words WHERE k = 3",
            letter,
        );
        right_or_refused(
            &mut client,
            "INSERT INTO other SELECT v, k + 10 FROM words WHERE k = 1",
            "SELECT ascii(v) FROM other WHERE k = 11",
            letter,
        );
        right_or_refused(
            &mut client,
            "INSERT INTO other SELECT max(v), 12 FROM words WHERE k = 1",
            "SELECT ascii(v) FROM other WHERE k = 12",
            letter,
        );
        run(&mut client, "RESET client_encoding");
        let stored = "SELECT ascii(v) || '|' || length(v) FROM words WHERE k = 2";
        assert_eq!(one(&mut client, stored), format!("{letter}|6"), "{encoding}");
        run(&mut client, "DELETE FROM words; DELETE FROM other");
    }
}

fn right_or_refused(client: &mut Client, write: &str, read: &str, letter: u32) {
    let reply = client.simple(write).expect("an answer");
    match reply.sqlstate() {
        "00000" => assert_eq!(one(client, read), letter.to_string(), "{write}"),
        refused => assert_eq!(refused, "0A000", "{write}: {:?}", reply.error),
    }
}

fn one(client: &mut Client, sql: &str) -> String {
    let rows = rows(client, sql);
    assert_eq!(rows.len(), 1, "{sql}");
    rows[0].iter().map(|it| it.as_deref().unwrap_or("NULL")).collect::<Vec<_>>().join("|")
}
