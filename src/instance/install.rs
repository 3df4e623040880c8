//! `howdah install-binary`: what the init container of a Postgres pod does.
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::Error;

/// Copies the running program into a directory, in one step: nobody ever starts half of it.
pub fn install_binary(directory: &Path) -> Result<PathBuf, Error> {
    fs::create_dir_all(directory).map_err(Error::file("create", directory))?;
    let (beside, target) = (directory.join(".howdah.new"), directory.join("howdah"));
    fs::copy("/proc/self/exe", &beside).map_err(Error::file("write", &beside))?;
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o755))
        .map_err(Error::file("protect", &beside))?;
    fs::rename(&beside, &target).map_err(Error::file("write", &target))?;
    Ok(target)
}
