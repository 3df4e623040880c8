//! The directory that a person names, and where the group really is.
//!
//! They are the same, except when root names a place that the user who runs Postgres cannot reach (such as
//! the home of root): then the directory holds only a pointer, and the group lies under /var/lib/howdah.
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::layout::RECORD;
use crate::os_user::OsUser;
use crate::run_dir::fnv;
use crate::{Error, Layout};

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Pointer {
    group_is_in: PathBuf,
}

/// Where a group is when nobody says: the data of the user, or of the machine when that is root.
pub fn default_dir(home: Option<PathBuf>) -> Option<PathBuf> {
    if nix::unistd::geteuid().is_root() {
        return Some(Path::new(ELSEWHERE).join("local"));
    }
    home.map(|it| it.join(".local/share/howdah/local"))
}

/// The group that is in `dir` already.
pub(crate) fn find(dir: &Path) -> Result<Layout, Error> {
    let dir = absolute(dir)?;
    match fs::read_to_string(dir.join(RECORD)) {
        Ok(text) => Ok(Layout::new(followed(&text).unwrap_or(dir))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Error::NoGroup(dir)),
        Err(error) => Err(Error::file(dir.join(RECORD))(error)),
    }
}

/// The group in `dir`, or a place for a new one, which belongs to the user who will run it.
pub(crate) fn prepare(dir: &Path) -> Result<(Layout, OsUser), Error> {
    let dir = absolute(dir)?;
    if let Ok(text) = fs::read_to_string(dir.join(RECORD)) {
        let home = followed(&text).unwrap_or(dir);
        let user = OsUser::for_group(&home)?;
        return Ok((Layout::new(home), user));
    }
    let user = OsUser::for_group(&dir)?;
    fs::create_dir_all(&dir).map_err(Error::file(&dir))?;
    if !is_free(&dir)? {
        return Err(Error::NotOurs(dir));
    }
    let dir = dir.canonicalize().map_err(Error::file(&dir))?;
    if user.may_reach(&dir) {
        take(&dir, &user)?;
        return Ok((Layout::new(dir), user));
    }
    Ok((Layout::new(elsewhere(&dir, &user)?), user))
}

/// Empty, or with no more than what an `up` leaves that failed before there was a group.
fn is_free(dir: &Path) -> Result<bool, Error> {
    let entries = fs::read_dir(dir).map_err(Error::file(dir))?;
    Ok(entries.flatten().all(|it| EARLY.iter().any(|early| it.file_name() == *early)))
}

const EARLY: [&str; 3] = ["supervisor.lock", "supervisor.log", "lost+found"];

fn take(dir: &Path, user: &OsUser) -> Result<(), Error> {
    if user.is_other() {
        chown(dir, Some(user.uid.as_raw()), Some(user.gid.as_raw())).map_err(Error::file(dir))?;
    }
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(Error::file(dir))
}

fn elsewhere(dir: &Path, user: &OsUser) -> Result<PathBuf, Error> {
    let home = Path::new(ELSEWHERE).join(format!("{:016x}", fnv(dir)));
    if home.exists() {
        // Its pointer is gone, and with it the person's wish to keep it.
        fs::remove_dir_all(&home).map_err(Error::file(&home))?;
    }
    fs::create_dir_all(&home).map_err(Error::file(&home))?;
    if !user.may_reach(&home) {
        return Err(Error::NotAccessible { user: user.name.clone(), path: home });
    }
    take(&home, user)?;
    let pointer = serde_json::to_string_pretty(&Pointer { group_is_in: home.clone() });
    let path = dir.join(RECORD);
    fs::write(&path, pointer.expect("a path that was made above is text")).map_err(Error::file(&path))?;
    Ok(home)
}

fn followed(record: &str) -> Option<PathBuf> {
    serde_json::from_str::<Pointer>(record).ok().map(|it| it.group_is_in)
}

fn absolute(dir: &Path) -> Result<PathBuf, Error> {
    let absolute = std::path::absolute(dir).map_err(Error::file(dir))?;
    Ok(absolute.canonicalize().unwrap_or(absolute))
}

/// Removes the pointer that leads to a group which is gone.
pub(crate) fn forget(dir: &Path) {
    if let Ok(dir) = absolute(dir) {
        let _ = fs::remove_file(dir.join(RECORD));
        let _ = fs::remove_dir(dir);
    }
}

const ELSEWHERE: &str = "/var/lib/howdah";
