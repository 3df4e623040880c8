use std::path::{Path, PathBuf};

use crate::InstanceConfig;
use crate::binaries::{Binaries, Missing, SUPPORTED};

/// Why an instance manager, or one start of its server, gives up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "no PostgreSQL found: looked in {looked}\nhint: Use an image with PostgreSQL {} to {}.",
        SUPPORTED.start(),
        SUPPORTED.end()
    )]
    NoPostgres { looked: String },
    #[error("PostgreSQL {found} is installed in {bin_dir}, but {wanted} is needed{because}")]
    WrongVersion { found: String, bin_dir: PathBuf, wanted: String, because: &'static str },
    #[error(
        "user id {0} has no name here, and initdb wants one\nhint: Mount an /etc/passwd with a line for it."
    )]
    NoUserName(u32),
    #[error("initdb failed: {0}")]
    Initdb(String),
    #[error("invalid PostgreSQL configuration: {0}")]
    Configuration(String),
    #[error("another instance manager runs on {0}")]
    Locked(PathBuf),
    #[error("processes of an earlier server still run in {0}")]
    Leftovers(PathBuf),
    #[error("could not {action} {path}: {source}")]
    File { action: &'static str, path: PathBuf, source: std::io::Error },
    #[error("could not run {program}: {source}")]
    Spawn { program: PathBuf, source: std::io::Error },
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

impl Error {
    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::File { action, path: path.into(), source }
    }

    /// `data` is the version of the data directory, where there is one.
    pub(crate) fn missing(missing: Missing, config: &InstanceConfig, data: Option<u32>) -> Self {
        match missing {
            Missing::Nothing { looked } if looked.is_empty() => {
                Self::NoPostgres { looked: "PATH, /usr/lib/postgresql/*/bin, /usr/local/bin".into() }
            }
            Missing::Nothing { looked } => Self::NoPostgres { looked: join(&looked) },
            Missing::Wrong(Binaries { bin_dir, version: found, .. }) => {
                let (wanted, because) = match (data, config.postgres_major) {
                    (Some(data), _) => (data.to_string(), ": the data directory was made by it"),
                    (None, Some(wanted)) => (wanted.to_string(), ": the configuration asks for it"),
                    (None, None) => (format!("{} to {}", SUPPORTED.start(), SUPPORTED.end()), ""),
                };
                Self::WrongVersion { found, bin_dir, wanted, because }
            }
        }
    }
}

fn join(paths: &[PathBuf]) -> String {
    let paths = paths.iter().map(|it| Path::display(it).to_string());
    paths.collect::<Vec<_>>().join(", ")
}
