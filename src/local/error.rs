use std::io;
use std::path::{Path, PathBuf};

use howdah_group::{NoWorkers, UnknownName};

/// What can go wrong, each with one message for the person at the terminal: the whole of it, so no variant has a source.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path}: {message}")]
    Spec { path: PathBuf, message: String },
    #[error(
        "no PostgreSQL {wanted} found: looked in {looked}\nhint: Install one (apt-get install postgresql), or name its directory with --postgres-bin."
    )]
    NoPostgres { wanted: String, looked: String },
    #[error("{bin_dir} holds PostgreSQL {found}, but {wanted} is needed{because}")]
    WrongVersion { bin_dir: PathBuf, found: String, wanted: String, because: &'static str },
    #[error("port {port} is taken by another process\nhint: Choose another with --port.")]
    PortTaken { port: u16 },
    #[error("no free port between {from} and {to} on 127.0.0.1")]
    NoFreePort { from: u16, to: u16 },
    #[error(
        "the server group in {0} is running already\nhint: See `howdah local status`, or stop it with `howdah local down`."
    )]
    InUse(PathBuf),
    #[error(
        "{0} is not empty and not a directory of howdah\nhint: Name a new or empty directory with --dir."
    )]
    NotOurs(PathBuf),
    #[error("{0} was made by a newer howdah")]
    NewerFormat(PathBuf),
    #[error(
        "there is no server group in {0}\nhint: Start one with `howdah local up`, or name its directory with --dir."
    )]
    NoGroup(PathBuf),
    #[error("the server group in {0} is not running\nhint: Start it with `howdah local up`.")]
    NotRunning(PathBuf),
    #[error(
        "{field} is \"{existing}\" in {dir} and cannot become \"{wanted}\"\nhint: It is fixed when the group is made. Use another directory for another group."
    )]
    Immutable { field: &'static str, existing: String, wanted: String, dir: PathBuf },
    #[error(transparent)]
    NoWorkers(#[from] NoWorkers),
    #[error(transparent)]
    UnknownMember(#[from] UnknownName),
    #[error("there is no member \"{member}\"")]
    NoMember { member: String },
    #[error("member \"{member}\" is not running")]
    MemberNotRunning { member: String },
    #[error("{path}: {error}")]
    File { path: PathBuf, error: io::Error },
    #[error("{path}: {message}")]
    BrokenFile { path: PathBuf, message: String },
    #[error("user {user} of this machine may not enter {path}")]
    NotAccessible { user: String, path: PathBuf },
    #[error("{member} did not start: {reason}")]
    Member { member: String, reason: String },
    #[error("{0}")]
    Supervisor(String),
    #[error(
        "the supervisor ended unexpectedly\nhint: See supervisor.log in the group's directory; another `howdah local up` goes on with the data."
    )]
    SupervisorDied,
    #[error("could not make certificates: {0}")]
    Certificates(String),
    #[error("could not run {program}: {error}")]
    Spawn { program: String, error: io::Error },
    #[error("{0} did not stop in time")]
    DoesNotStop(&'static str),
}

impl Error {
    /// For `map_err` on file operations; disk full and denied permissions then name the file.
    pub(crate) fn file(path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::File { path: path.as_ref().to_owned(), error }
    }
}
