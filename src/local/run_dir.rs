//! Where the Unix sockets are: beside the data, or under /tmp when that path is too long for a socket.
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use howdah_group::{MemberName, NodeName};

use crate::{Error, Layout};

/// The directories of the sockets. Only the user that runs the group may enter: that is what authenticates.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RunDir(PathBuf);

impl RunDir {
    pub(crate) fn of(layout: &Layout) -> Self {
        let inside = layout.dir().join("run");
        if inside.as_os_str().len() <= LONGEST {
            return Self(inside);
        }
        Self(PathBuf::from(format!("/tmp/howdah-{:016x}", fnv(layout.dir()))))
    }

    /// Makes the directory and one per member, and refuses one that somebody else has put there.
    pub(crate) fn make(&self, members: impl Iterator<Item = MemberName>) -> Result<(), Error> {
        private_dir(&self.0)?;
        for name in members {
            private_dir(&self.member(name))?;
        }
        private_dir(&self.loopback())
    }

    pub(crate) fn remove(&self) {
        let _ = fs::remove_dir_all(&self.0);
    }

    pub(crate) fn member(&self, name: MemberName) -> PathBuf {
        self.0.join(name.to_string())
    }

    pub(crate) fn node(&self, node: NodeName) -> PathBuf {
        self.member(MemberName::Postgres(node))
    }

    /// What postgres_fdw of the coordinator connects to (a directory).
    pub(crate) fn loopback(&self) -> PathBuf {
        self.node(NodeName::Coordinator).join("loopback")
    }

    /// Where the coordinator's instance manager finds the router (a socket).
    pub(crate) fn router_loopback(&self) -> PathBuf {
        self.member(MemberName::Router).join("loopback.sock")
    }
}

fn private_dir(path: &Path) -> Result<(), Error> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(Error::file(path)(error));
        }
        _ => {}
    }
    let metadata = fs::symlink_metadata(path).map_err(Error::file(path))?;
    if !metadata.is_dir() || metadata.uid() != nix::unistd::geteuid().as_raw() {
        return Err(Error::NotOurs(path.to_owned()));
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(Error::file(path))
}

/// FNV-1a: a name for a path that is the same for every version of this program.
pub(crate) fn fnv(path: &Path) -> u64 {
    path.as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// sockaddr_un has room for 107 bytes; the longest name below is `/coordinator/loopback/.s.PGSQL.5432`.
const LONGEST: usize = 107 - 36;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_fit_whatever_the_directory_is_called() {
        for dir in ["/srv/demo".to_owned(), format!("/srv/{}", "x".repeat(200))] {
            let run = RunDir::of(&Layout::new(dir));
            assert!(run.loopback().join(".s.PGSQL.5432").as_os_str().len() <= 107);
            assert!(run.router_loopback().as_os_str().len() <= 107);
        }
    }
}
