//! Which user of the operating system runs the group. Postgres refuses to run as root, so nothing does.
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use nix::unistd::{Gid, Uid, User};

use crate::Error;
use crate::layout::RECORD;

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct OsUser {
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
    pub(crate) name: String,
}

impl OsUser {
    /// The caller; when that is root, the owner of an existing group, else `postgres`, else `nobody`.
    pub(crate) fn for_group(dir: &Path) -> Result<Self, Error> {
        let caller = nix::unistd::geteuid();
        if !caller.is_root() {
            return Ok(Self { uid: caller, gid: nix::unistd::getegid(), name: name_of(caller) });
        }
        if let Some(owner) = owner_of(&dir.join(RECORD)) {
            return Ok(owner);
        }
        ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| User::from_name(name).ok().flatten())
            .map(|it| Self { uid: it.uid, gid: it.gid, name: it.name })
            .ok_or_else(|| Error::Supervisor("neither postgres nor nobody is a user of this machine".into()))
    }

    /// True when commands must be started as another user than the caller.
    pub(crate) fn is_other(&self) -> bool {
        nix::unistd::geteuid() != self.uid
    }

    /// Whether the user may pass through every directory above `path`.
    pub(crate) fn may_reach(&self, path: &Path) -> bool {
        path.ancestors().skip(1).all(|it| fs::metadata(it).is_ok_and(|metadata| self.may_enter(&metadata)))
    }

    fn may_enter(&self, metadata: &fs::Metadata) -> bool {
        let mode = metadata.permissions().mode();
        let bit = if metadata.uid() == self.uid.as_raw() {
            0o100
        } else if metadata.gid() == self.gid.as_raw() {
            0o010
        } else {
            0o001
        };
        mode & bit != 0
    }
}

fn owner_of(path: &Path) -> Option<OsUser> {
    let metadata = fs::metadata(path).ok()?;
    let uid = Uid::from_raw(metadata.uid());
    if uid.is_root() {
        return None;
    }
    Some(OsUser { uid, gid: Gid::from_raw(metadata.gid()), name: name_of(uid) })
}

fn name_of(uid: Uid) -> String {
    User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |it| it.name)
}
