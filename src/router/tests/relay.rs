//! What a plain PostgreSQL does, a router in front of it does.

mod support;

use support::Served;

#[test]
fn psql_runs() {
    let served = Served::start().expect("a router starts");
    let script = "\\set ON_ERROR_STOP on\nSELECT 1;\nCREATE TABLE t (a int, b text);\n\
         INSERT INTO t SELECT i, 'x' || i FROM generate_series(1, 5) i;\n\\d t\n\\dt\n\\l\n\\du\n\
         BEGIN;\nSAVEPOINT a;\nSELECT count(*) FROM t;\nROLLBACK TO a;\nCOMMIT;\nCOMMIT;\n\
         \\copy t FROM PROGRAM 'printf \"7\\\\tseven\\\\n\"'\nCOPY t TO STDOUT;\n\
         SET work_mem = '64kB';\nSHOW work_mem;\nCREATE TEMP TABLE tt (a int);\nSELECT * FROM tt;\n";
    let output = served.program("psql").args(["-X", "-c", "SELECT 42"]).output().expect("psql runs");
    assert!(output.status.success(), "{output:?}");
    let path = std::env::temp_dir().join(format!("howdah-relay-{}.sql", served.port));
    std::fs::write(&path, script).expect("a script is written");
    let output = served.program("psql").args(["-X", "-f"]).arg(&path).output().expect("psql runs");
    std::fs::remove_file(&path).ok();
    println!("{}", String::from_utf8_lossy(&output.stdout));
    println!("{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{output:?}");
    if std::env::var_os("ROUTER_SERVE").is_some() {
        println!("port {}", served.port);
        std::thread::sleep(std::time::Duration::from_secs(600));
    }
}
