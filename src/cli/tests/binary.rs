//! Values in binary format: those that name types by their OIDs name them as the coordinator does, wherever the rows are.

use bytes::{BufMut, BytesMut};
use howdah_harness::group::{LocalGroup, Options};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, NoTls};

type BoxedError = Box<dyn std::error::Error + Sync + Send>;

const SETUP: &str = "
    CREATE TYPE mood AS ENUM ('sad', 'happy');
    CREATE TABLE people (id int PRIMARY KEY, now mood, before mood[], at int4range);
    SELECT create_distributed_table('people', 'id');
    INSERT INTO people VALUES (1, 'sad', '{happy,sad}', '[1,2]'), (2, 'happy', NULL, NULL), (3, 'sad', '{}', 'empty')";

/// Each has the OID of `mood` in its answer.
const READS: [&str; 7] = [
    "SELECT before FROM people WHERE id = 1",
    "SELECT before FROM people WHERE id < 2",
    "SELECT row(id, now) FROM people WHERE id = 1",
    "SELECT array_agg(now ORDER BY id) FROM people",
    "SELECT array_agg(now) FROM people WHERE id = 1",
    "SELECT ARRAY[row(id, now)] FROM people WHERE id = 1",
    "SELECT p FROM people p WHERE id = 1",
];

#[test]
fn oids_in_values_are_those_of_the_coordinator() {
    let group =
        LocalGroup::start(env!("CARGO_BIN_EXE_howdah"), &Options::default()).expect("the group starts");
    let runtime = a_runtime();
    runtime.block_on(async {
        let uri = group.superuser_uri.replace("sslmode=require", "sslmode=disable");
        let (client, connection) = tokio_postgres::connect(&uri, NoTls).await.expect("a connection");
        tokio::spawn(connection);
        client.batch_execute(SETUP).await.expect("the tables are made");
        let row = client.query_one("SELECT 'mood'::regtype::oid", &[]).await.expect("an OID");
        let oid = row.get::<_, u32>(0).to_be_bytes();
        for sql in READS {
            let value = client.query_one(sql, &[]).await.expect(sql).get::<_, Raw>(0).0;
            assert!(value.windows(4).any(|it| it == oid), "{sql}: {value:?}");
        }

        // An array of one "sad", whose OID a worker would not know.
        let mut array = BytesMut::new();
        [1, 0].into_iter().for_each(|it| array.put_i32(it));
        array.put_slice(&oid);
        [1, 1, 3].into_iter().for_each(|it| array.put_i32(it));
        array.put_slice(b"sad");
        let array = Raw(array.to_vec());
        let found = client.query_one("SELECT count(*) FROM people WHERE ARRAY[now] = $1", &[&array]).await;
        assert_eq!(found.expect("a count").get::<_, i64>(0), 2);
        written_values_are_the_workers_own(&client, &array).await;
        assert_eq!(
            refusal(&client, "UPDATE people SET now = now WHERE id = 1 RETURNING before", &[]).await,
            "0A000"
        );

        // What holds no OIDs of users goes to workers as ever.
        let updated =
            client.query_one("UPDATE people SET now = now WHERE id = 1 RETURNING now, at", &[]).await;
        assert_eq!(updated.expect("a row").get::<_, Raw>(0).0, b"sad");
    });
}

/// Over one shard and over all, alone, with other parameters, prepared and again, inside of a transaction.
async fn written_values_are_the_workers_own(client: &Client, array: &Raw) {
    let moods = async |id: i32| -> Option<String> {
        let sql = format!("SELECT before::text FROM people WHERE id = {id}");
        client.query_one(&sql, &[]).await.expect("a row").get(0)
    };
    client.execute("UPDATE people SET before = $1 WHERE id = 2", &[array]).await.expect("one shard");
    assert_eq!(moods(2).await.as_deref(), Some("{sad}"));
    client.execute("UPDATE people SET before = NULL", &[]).await.expect("all shards");
    assert_eq!(client.execute("UPDATE people SET before = $1", &[array]).await.expect("all shards"), 3);
    assert_eq!(moods(3).await.as_deref(), Some("{sad}"));
    let insert = client
        .prepare("INSERT INTO people (id, before, now) VALUES ($1, $2, $3)")
        .await
        .expect("is prepared");
    for id in 10..13_i32 {
        client.execute(&insert, &[&id, array, &Raw(b"happy".to_vec())]).await.expect("a row is inserted");
        assert_eq!(moods(id).await.as_deref(), Some("{sad}"));
    }
    client.batch_execute("BEGIN").await.expect("a block");
    client.execute(&insert, &[&20_i32, array, &Raw(b"sad".to_vec())]).await.expect("a row is inserted");
    assert_eq!(moods(20).await.as_deref(), Some("{sad}"));
    let many = "INSERT INTO people (id, before) VALUES (21, $1), (22, $2), (23, '{happy}')";
    client.execute(many, &[array, &None::<Raw>]).await.expect("rows of several shards");
    assert_eq!((moods(21).await.as_deref(), moods(22).await), (Some("{sad}"), None));
    client.batch_execute("ROLLBACK").await.expect("undone");
    let removed = client.execute("DELETE FROM people WHERE before = $1 AND id >= 10", &[array]).await;
    assert_eq!(removed.expect("rows are deleted"), 3);
    client.batch_execute("UPDATE people SET before = '{happy,sad}' WHERE id = 1").await.expect("as before");
}

async fn refusal(client: &Client, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> String {
    let error = client.query(sql, parameters).await.expect_err(sql);
    error.code().map(|it| it.code().to_owned()).unwrap_or_default()
}

fn a_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A value as it is on the wire.
#[derive(Debug)]
struct Raw(Vec<u8>);

impl FromSql<'_> for Raw {
    fn from_sql(_: &Type, raw: &[u8]) -> Result<Self, BoxedError> {
        Ok(Self(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl ToSql for Raw {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, BoxedError> {
        out.put_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
