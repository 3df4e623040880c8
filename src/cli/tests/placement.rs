//! A row is in the shard that PostgreSQL's hash of its distribution value says, whatever the type and however it came.

use bytes::{BufMut, BytesMut};
use howdah_harness::client::{Client, Protocol};
use howdah_harness::expect::{quoted, rows, run};
use howdah_harness::group::{LocalGroup, Options};
use tokio_postgres::NoTls;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

/// A column type and values of it as they may be written, also in forms that only PostgreSQL reads.
const TYPES: &[(&str, &[&str])] = &[
    ("bool", &["t", "false", "tr", " yes "]),
    ("smallint", &["0", "-7", " 12 ", "+3"]),
    ("int", &["0", "-2147483648", "2147483647", "007"]),
    ("bigint", &["0", "-1", "9223372036854775807", "4294967296"]),
    ("real", &["0", "-0", "1.5", "NaN", "1e-10", ".5"]),
    ("float8", &["-0", "1.1", "Infinity", "123456789.123456789"]),
    ("numeric", &["0", "1.50", "-12345.678", "1e20", "NaN", ".5"]),
    ("numeric(10,2)", &["1.255", "1", "-0.001", "99.99"]),
    ("text", &["", "a", "it's \"ü\"€ \\ x", " a ", "NULL"]),
    ("varchar(3)", &["abc", "ab   ", "ü€ß"]),
    ("char(5)", &["a", "a  ", "", "abcde"]),
    ("name", &["a", "Über"]),
    ("bytea", &["\\x00ff", "abc", "a\\001b", ""]),
    (
        "uuid",
        &[
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "{A0EEBC999C0B4EF8BB6D6BB9BD380A12}",
            "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a13",
        ],
    ),
    ("date", &["2024-02-29", "2024-1-5", "Jan 8, 1999", "infinity", "0044-03-15 BC"]),
    ("time", &["12:34", "23:59:59.999999", "04:05 PM", "24:00:00"]),
    ("timestamp", &["2024-02-29 12:34:56.789", "2024-02-29T12:34", "Jan 8 1999 04:05:06", "-infinity"]),
    ("timestamp(0)", &["2024-02-29 12:34:56.789", "2024-02-29"]),
    (
        "timestamptz",
        &["2024-02-29 12:34:56+02", "2024-02-29 12:34:56", "2024-06-01 00:00:00 America/New_York"],
    ),
    ("interval", &["1 day", "24:00:00", "1 mon -1 day"]),
    ("inet", &["10.0.0.1", "10.0.0.0/8", "::1"]),
    ("jsonb", &["{\"a\": 1}", "[1, 2]", "null"]),
    ("int[]", &["{1,2,3}", "{}", "{NULL}"]),
    ("mood", &["sad", "happy"]),
];

/// How a row comes in; each way inserts every value once.
const WAYS: &[fn(&mut Setting<'_>, &str)] =
    &[literal, cast_literal, text_parameter, binary_parameter, several_rows, copied, selected];

struct Setting<'a> {
    client: &'a mut Client,
    /// Speaks the binary format.
    binary: &'a tokio_postgres::Client,
    runtime: &'a tokio::runtime::Runtime,
    type_name: &'a str,
    values: &'a [&'a str],
}

#[test]
fn rows_are_where_their_hash_says() {
    let group =
        LocalGroup::start(env!("CARGO_BIN_EXE_howdah"), &Options::default()).expect("the group starts");
    let mut client = group.connect_superuser().expect("a connection");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let binary = runtime.block_on(connect(&group));
    run(&mut client, "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy')");
    for (number, (type_name, values)) in TYPES.iter().enumerate() {
        let table = format!("placed_{number}");
        run(&mut client, &format!("CREATE TABLE {table} (k {type_name}, way int)"));
        run(
            &mut client,
            &format!(
                "SELECT create_distributed_table('{table}', 'k', shard_count => 8, colocate_with => 'none')"
            ),
        );
        let mut setting =
            Setting { client: &mut client, binary: &binary, runtime: &runtime, type_name, values };
        WAYS.iter().for_each(|way| way(&mut setting, &table));
        match *type_name {
            // Its hash is that of an OID, which differs between nodes: the coordinator's decides.
            "mood" => every_value_is_placed(&mut client, &table, values),
            _ => every_row_is_placed(&mut client, &table, type_name),
        }
        every_row_is_found(&mut client, &table, type_name, values);
    }
}

fn literal(setting: &mut Setting<'_>, table: &str) {
    for value in setting.values {
        run(setting.client, &format!("INSERT INTO {table} VALUES ({}, 1)", quoted(value)));
    }
}

fn cast_literal(setting: &mut Setting<'_>, table: &str) {
    for value in setting.values {
        // Without its modifier; a bare char would be of one character.
        let bare = setting.type_name.split('(').next().map(|it| if it == "char" { "bpchar" } else { it });
        let bare = bare.unwrap_or_default();
        run(setting.client, &format!("INSERT INTO {table} VALUES (CAST({} AS {bare}), 2)", quoted(value)));
    }
}

fn text_parameter(setting: &mut Setting<'_>, table: &str) {
    for value in setting.values {
        let insert = format!("INSERT INTO {table} VALUES ($1, 3)");
        let reply = setting.client.run_with(&insert, &[value]).expect("a connection");
        assert_eq!(reply.error, None, "{} {value:?} as a parameter", setting.type_name);
    }
}

fn binary_parameter(setting: &mut Setting<'_>, table: &str) {
    for value in setting.values {
        let sent = binary_form(setting, value);
        let insert = async {
            let statement = setting.binary.prepare(&format!("INSERT INTO {table} VALUES ($1, 4)")).await?;
            setting.binary.execute(&statement, &[&sent]).await
        };
        let inserted = setting.runtime.block_on(insert);
        inserted.unwrap_or_else(|error: tokio_postgres::Error| {
            panic!("{} {value:?} in binary: {error:?}", setting.type_name)
        });
    }
}

fn several_rows(setting: &mut Setting<'_>, table: &str) {
    let rows: Vec<_> = setting.values.iter().map(|it| format!("({}, 5)", quoted(it))).collect();
    run(setting.client, &format!("INSERT INTO {table} VALUES {}", rows.join(", ")));
}

fn copied(setting: &mut Setting<'_>, table: &str) {
    let lines: String =
        setting.values.iter().map(|it| format!("{}\t6\n", it.replace('\\', "\\\\"))).collect();
    let copy = format!("COPY {table} FROM STDIN");
    let reply = setting.client.run(&copy, Protocol::Simple, Some(&lines)).expect("a connection");
    assert_eq!(reply.error, None, "{} by COPY", setting.type_name);
}

fn selected(setting: &mut Setting<'_>, table: &str) {
    let rows: Vec<_> = setting.values.iter().map(|it| format!("({})", quoted(it))).collect();
    let type_name = setting.type_name;
    run(
        setting.client,
        &format!("INSERT INTO {table} SELECT v::{type_name}, 7 FROM (VALUES {}) s(v)", rows.join(", ")),
    );
}

fn every_row_is_placed(client: &mut Client, table: &str, type_name: &str) {
    let sql = format!(
        "SELECT count(*) FROM run_command_on_shards('{table}',
             'SELECT coalesce(min(hash_record(ROW(k))) || '','' || max(hash_record(ROW(k))), '''') FROM %s') r
         JOIN pg_dist_shard s USING (shardid)
         WHERE r.success AND (r.result = '' OR s.shardminvalue::int <= split_part(r.result, ',', 1)::int
             AND split_part(r.result, ',', 2)::int <= s.shardmaxvalue::int)"
    );
    assert_eq!(rows(client, &sql), [[Some("8".to_owned())]], "a row of type {type_name} is in a wrong shard");
}

fn every_value_is_placed(client: &mut Client, table: &str, values: &[&str]) {
    for value in values {
        let sql = format!(
            "SELECT result FROM run_command_on_shards('{table}', 'SELECT count(*) FROM %s WHERE k = ''{value}''')
             WHERE shardid = get_shard_id_for_distribution_column('{table}', '{value}')"
        );
        assert_eq!(rows(client, &sql), [[Some(WAYS.len().to_string())]], "{value}");
    }
}

fn every_row_is_found(client: &mut Client, table: &str, type_name: &str, values: &[&str]) {
    for value in values {
        // As stored: a modifier may have changed the value.
        let stored = format!("CAST({} AS {type_name})", quoted(value));
        let local = rows(client, &format!("SELECT {stored}::text"));
        let stored_value = local[0][0].as_deref().expect("no value is NULL");
        let stored = quoted(stored_value);
        let found = rows(client, &format!("SELECT count(*) FROM {table} WHERE k = {stored}"));
        let every = rows(
            client,
            &format!("SELECT count(*) FROM (SELECT k FROM {table} OFFSET 0) s WHERE k = {stored}"),
        );
        assert_eq!(found, every, "{type_name} {value:?}");
        // The same by a parameter, in texts that differ by another literal.
        for way in 1..=2 {
            let sql = format!("SELECT count(*) FROM {table} WHERE k = $1 AND way <> {way}");
            let reply = client.run_with(&sql, &[stored_value]).expect("a connection");
            let rest = rows(
                client,
                &format!(
                    "SELECT count(*) FILTER (WHERE way <> {way}) FROM (SELECT * FROM {table} OFFSET 0) s WHERE k = {stored}"
                ),
            );
            assert_eq!(reply.rows, rest, "{type_name} {value:?}: {:?}", reply.error);
        }
        let count: usize = found[0][0].as_deref().and_then(|it| it.parse().ok()).expect("a count");
        assert!(WAYS.len() <= count, "{type_name} {value:?}: {count} rows");
    }
}

/// A value that is sent as these bytes, whatever its type.
#[derive(Debug)]
struct Sent(Vec<u8>);

impl ToSql for Sent {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.put_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn binary_form(setting: &mut Setting<'_>, value: &str) -> Sent {
    // COPY writes binary values of all types: 19 bytes of header, the number of columns, the length.
    let sql = format!("COPY (SELECT {}::{}) TO STDOUT (FORMAT binary)", quoted(value), setting.type_name);
    let reply = setting.client.run(&sql, Protocol::Simple, None).expect("a connection");
    assert_eq!(reply.error, None, "{sql}");
    let copied = &reply.copied[21..];
    let length = u32::from_be_bytes([copied[0], copied[1], copied[2], copied[3]]) as usize;
    Sent(copied[4..4 + length].to_vec())
}

async fn connect(group: &LocalGroup) -> tokio_postgres::Client {
    let uri = group.superuser_uri.replace("sslmode=require", "sslmode=disable");
    let (client, connection) = tokio_postgres::connect(&uri, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}
