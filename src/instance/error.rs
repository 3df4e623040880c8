use std::path::PathBuf;

/// Why an instance manager gives up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
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
}
