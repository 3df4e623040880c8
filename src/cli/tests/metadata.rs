//! The catalog's functions and views, and DDL on all nodes, on a real group: each file of `metadata/` is played in order.
//!
//! A case is a statement and, after `----`, what came of it: rows, else command tags, or the error. `*` before a statement
//! asks it of each worker. With `HOWDAH_UPDATE=1` the files are rewritten to what was seen.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use howdah_harness::client::{Client, Reply};
use howdah_harness::group::{LocalGroup, Options};

#[test]
fn files_play_as_written() {
    check(&Options::default());
}

#[test]
fn files_play_as_written_on_postgres_18() {
    if let Some(options) = Options::default().on_postgres_18() {
        check(&options);
    }
}

fn check(options: &Options) {
    let group = LocalGroup::start(env!("CARGO_BIN_EXE_howdah"), options).expect("the group starts");
    let mut differences = String::new();
    for file in files() {
        let mut client = group.connect_superuser().expect("a connection");
        let written = std::fs::read_to_string(&file).expect("a readable file");
        let seen = play(&mut client, &written);
        if std::env::var_os("HOWDAH_UPDATE").is_some() {
            std::fs::write(&file, &seen).expect("a writable file");
        } else {
            compare(&file, &written, &seen, &mut differences);
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

fn files() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/metadata");
    let entries = std::fs::read_dir(directory).expect("the directory of cases");
    let mut files: Vec<_> = entries.map(|it| it.expect("an entry").path()).collect();
    files.sort();
    files
}

fn play(client: &mut Client, written: &str) -> String {
    let mut seen = String::new();
    for case in written.split("\n\n").map(str::trim).filter(|it| !it.is_empty()) {
        let statement = case.split("\n----").next().unwrap_or_default();
        let reply = client.simple(&asked(statement)).expect("the session goes on");
        let _ = write!(seen, "{statement}\n----\n{}\n", show(&reply));
    }
    seen.truncate(seen.trim_end().len());
    seen.push('\n');
    seen
}

fn asked(statement: &str) -> String {
    match statement.strip_prefix('*') {
        Some(command) => {
            format!("SELECT DISTINCT success, result FROM run_command_on_workers($howdah${command}$howdah$)")
        }
        None => statement.to_owned(),
    }
}

fn show(reply: &Reply) -> String {
    let mut shown = String::new();
    for row in &reply.rows {
        let fields: Vec<_> = row.iter().map(|it| it.as_deref().unwrap_or("NULL")).collect();
        shown.push_str(&format!("{}\n", fields.join(" | ")));
    }
    if let Some(error) = &reply.error {
        shown.push_str(&format!("{} {}\n", error.sqlstate, error.message));
    } else if reply.columns.is_empty() {
        shown.push_str(&format!("{}\n", reply.tags.join(", ")));
    }
    shown
}

fn compare(file: &Path, written: &str, seen: &str, differences: &mut String) {
    let cases = written.trim().split("\n\n").zip(seen.trim().split("\n\n"));
    for (expected, found) in cases.filter(|(expected, found)| expected.trim() != found.trim()) {
        let _ = writeln!(differences, "{}:\nexpected\n{expected}\nfound\n{found}\n", file.display());
    }
}
