//! `psql`: the group's own psql, connected to its router.
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::record::{self, Login};
use crate::{Error, binaries};

/// The command that connects as the administrator (or as superuser). Whatever the person adds is psql's own.
/// The password travels in the environment: arguments are for all to see.
pub fn psql(dir: &Path, login: Login, arguments: &[OsString]) -> Result<Command, Error> {
    let (_, record, secrets) = record::open(dir)?;
    let program = find(&record.postgres_bin)?;
    let mut command = Command::new(program);
    command
        .env("PGHOST", "localhost")
        .env("PGPORT", record.port.to_string())
        .env("PGUSER", record.user(login))
        .env("PGPASSWORD", secrets.password(login))
        .env("PGDATABASE", &record.database)
        .env("PGSSLMODE", "require")
        .args(arguments);
    Ok(command)
}

/// Beside the server, else wherever there is one: some packages hold only the server.
fn find(server: &Path) -> Result<PathBuf, Error> {
    let mut places = vec![server.to_owned()];
    places.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths));
    places.extend(binaries::usual_places());
    places.into_iter().map(|it| it.join("psql")).find(|it| it.exists()).ok_or_else(|| {
        Error::Supervisor("no psql found\nhint: Install one (apt-get install postgresql-client).".into())
    })
}
