//! Runs `application.py` against a group; it needs psycopg2, which `make setup` installs.

use std::process::Command;

use howdah_harness::group::{LocalGroup, repository_root};

pub(crate) fn check(group: &LocalGroup) {
    let script = repository_root().join("src/cli/tests/seed_sql/application.py");
    let python = std::env::var("HOWDAH_PYTHON").unwrap_or_else(|_| "python3".into());
    let address = group.address().expect("the group's address");
    let output = Command::new(python)
        .arg(script)
        .env("PGHOST", address.host)
        .env("PGPORT", address.port.to_string())
        .env("PGUSER", address.user)
        .env("PGPASSWORD", address.password)
        .env("PGDATABASE", address.database)
        .output()
        .expect("python3 starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "application.py (is psycopg2 installed? make setup): {errors}");
}
