//! The directories of a member: those it makes, and the rights that others have changed.
use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use crate::{Error, InstanceConfig};

/// Makes what is missing of the directories of sockets. Who may enter them may be superuser, so they are nobody else's.
pub(crate) fn make(config: &InstanceConfig) -> Result<(), Error> {
    let loopback = config.loopback.iter().map(|it| it.listen_dir.as_path());
    for directory in loopback.chain([config.socket_dir.as_path()]) {
        if !directory.exists() {
            let made = DirBuilder::new().mode(0o700).recursive(true).create(directory);
            made.map_err(Error::file("create", directory))?;
        }
    }
    Ok(())
}

/// Takes back the rights that a kubelet gives the group of a volume's files (`fsGroup`) whenever it mounts it:
/// Postgres would not start on a directory that others may write to.
pub(crate) fn protect_data(data: &Path) -> Result<(), Error> {
    let mode = fs::metadata(data).map_err(Error::file("look at", data))?.permissions().mode();
    if mode & 0o027 == 0 {
        return Ok(());
    }
    fs::set_permissions(data, Permissions::from_mode(0o700)).map_err(Error::file("protect", data))
}

/// The major version that made a data directory.
pub(crate) fn version_of(data: &Path) -> Option<u32> {
    fs::read_to_string(data.join("PG_VERSION")).ok()?.trim().parse().ok()
}
