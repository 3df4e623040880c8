//! Where everything lies. Paths only, no IO.
use std::path::{Path, PathBuf};

use howdah_group::{MemberName, NodeName};

/// The directory of one group. All that the group consists of is inside, but for the sockets when the path
/// is too long for them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Layout {
    dir: PathBuf,
}

impl Layout {
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Marks the directory as ours and says what the group is.
    pub(crate) fn record(&self) -> PathBuf {
        self.dir.join(RECORD)
    }

    pub(crate) fn spec(&self) -> PathBuf {
        self.dir.join("servergroup.yaml")
    }

    pub(crate) fn secrets(&self) -> PathBuf {
        self.dir.join("secrets.json")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.dir.join("supervisor.lock")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir.join("state.json")
    }

    pub fn supervisor_log(&self) -> PathBuf {
        self.dir.join("supervisor.log")
    }

    pub(crate) fn pki(&self) -> PathBuf {
        self.dir.join("pki")
    }

    /// What clients name in `sslrootcert` for verify-full.
    pub fn ca_certificate(&self) -> PathBuf {
        self.pki().join("ca.crt")
    }

    pub(crate) fn members(&self) -> PathBuf {
        self.dir.join("members")
    }

    pub(crate) fn member(&self, name: MemberName) -> PathBuf {
        self.members().join(name.to_string())
    }

    pub(crate) fn data(&self, node: NodeName) -> PathBuf {
        self.member(MemberName::Postgres(node)).join("data")
    }

    /// Written by the supervisor for the process that it starts.
    pub(crate) fn member_config(&self, name: MemberName) -> PathBuf {
        self.member(name).join("config.json")
    }

    /// What the process itself says.
    pub(crate) fn member_log(&self, name: MemberName) -> PathBuf {
        match name {
            MemberName::Router => self.member(name).join("router.log"),
            MemberName::Postgres(_) => self.member(name).join("instance.log"),
        }
    }

    pub(crate) fn postgres_log(&self, node: NodeName) -> PathBuf {
        self.member(MemberName::Postgres(node)).join("postgres.log")
    }
}

pub(crate) const RECORD: &str = "howdah.json";
