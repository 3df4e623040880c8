//! Programs that people use, through a router.

mod support;

use support::Served;

#[test]
fn pgbench_runs_in_three_modes() {
    let served = Served::start().expect("a router starts");
    let output = served.program("pgbench").args(["-i", "-s", "1", "-q"]).output().expect("pgbench runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for mode in ["simple", "extended", "prepared"] {
        for builtin in ["select-only", "tpcb-like"] {
            let arguments = ["-n", "-M", mode, "-b", builtin, "-c", "4", "-j", "2", "-t", "50"];
            let output = served.program("pgbench").args(arguments).output().expect("pgbench runs");
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{mode} {builtin}: {errors}");
        }
    }
}

#[test]
fn tokio_postgres_runs() {
    let served = Served::start().expect("a router starts");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let config = format!(
            "host=127.0.0.1 port={} user={} password='{}' dbname={}",
            served.port,
            support::USER,
            support::PASSWORD.replace('\'', "\\'"),
            support::DATABASE
        );
        let (mut client, connection) =
            tokio_postgres::connect(&config, tokio_postgres::NoTls).await.expect("it connects");
        tokio::spawn(connection);
        client.batch_execute("CREATE TABLE kv (k int PRIMARY KEY, v text)").await.expect("a table");
        let insert = client.prepare("INSERT INTO kv VALUES ($1, $2)").await.expect("prepared");
        for key in 0..10_i32 {
            client.execute(&insert, &[&key, &format!("v{key}")]).await.expect("inserted");
        }
        let transaction = client.transaction().await.expect("a transaction");
        let statement = transaction.prepare("SELECT * FROM kv ORDER BY k").await.expect("prepared");
        let portal = transaction.bind(&statement, &[]).await.expect("bound");
        assert_eq!(transaction.query_portal(&portal, 4).await.expect("rows").len(), 4);
        assert_eq!(transaction.query_portal(&portal, 4).await.expect("rows").len(), 4);
        assert_eq!(transaction.query_portal(&portal, 4).await.expect("rows").len(), 2);
        transaction.rollback().await.expect("rolled back");
        let error = client.query("SELECT 1/0", &[]).await.expect_err("it cannot");
        assert_eq!(error.code().map(|it| it.code()), Some("22012"));
        let error = client.prepare("SELECT nothing FROM kv").await.expect_err("it cannot");
        assert_eq!(error.code().map(|it| it.code()), Some("42703"));
        let row = client.query_one("SELECT count(*) FROM kv", &[]).await.expect("it can");
        assert_eq!(row.get::<_, i64>(0), 10);
        use futures::SinkExt;
        let sink = client.copy_in("COPY kv FROM STDIN").await.expect("copy");
        let mut sink = Box::pin(sink);
        sink.send(bytes::Bytes::from_static(b"100\tx\n101\ty\n")).await.expect("sent");
        assert_eq!(sink.as_mut().finish().await.expect("finished"), 2);
        let queries = (0..50_i32).map(|it| {
            let client = &client;
            async move {
                client.query_one("SELECT $1::int4 + 1", &[&it]).await.expect("pipelined").get::<_, i32>(0)
            }
        });
        let sums = futures::future::join_all(queries).await;
        assert_eq!(sums, (1..51).collect::<Vec<_>>());
    });
}
