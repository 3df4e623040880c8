//! Makes the data directory, all or nothing.
//!
//! initdb runs without its own fsync into a directory beside; one syncfs makes it durable; a marker file
//! then says that it is whole. A directory without the marker never held anybody's data and is made anew.
use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use nix::unistd::{User, geteuid};
use tokio::process::Command;

use crate::binaries::Binaries;
use crate::{Error, InstanceConfig};

/// Makes one where there is none.
pub(crate) async fn ensure(config: &InstanceConfig, binaries: &Binaries) -> Result<(), Error> {
    if is_initialised(&config.member_dir) {
        return Ok(());
    }
    let data = config.data_dir();
    if data.exists() {
        fs::remove_dir_all(&data).map_err(Error::file("remove", &data))?;
    }
    initdb(config, binaries, &data).await?;
    make_durable(&config.member_dir).await
}

pub(crate) fn is_initialised(member_dir: &Path) -> bool {
    member_dir.join(MARKER).exists()
}

async fn initdb(config: &InstanceConfig, binaries: &Binaries, data: &Path) -> Result<(), Error> {
    let program = binaries.program("initdb");
    let mut command = Command::new(&program);
    command
        .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"])
        // The C locale orders by bytes, the same on every node and for ever, whatever the C library does;
        // ctype C.UTF-8 where there is one, so that upper() and \w know more than ASCII.
        .args(ctype_argument())
        .args(["--data-checksums", "--no-instructions"])
        .arg("-D")
        .arg(data)
        .stdin(Stdio::null())
        .current_dir(&config.member_dir);
    crate::postgres::clean_environment(&mut command);
    name_this_user(&mut command, &config.member_dir)?;
    let output = command.output().await.map_err(|source| Error::Spawn { program, source })?;
    if output.status.success() {
        return Ok(());
    }
    let _ = fs::remove_dir_all(data);
    Err(Error::Initdb(reason(&String::from_utf8_lossy(&output.stderr))))
}

/// initdb asks for the name of its own user, though it needs none. A container's user may have no entry; many images
/// have the library that pretends one.
fn name_this_user(command: &mut Command, member_dir: &Path) -> Result<(), Error> {
    let uid = geteuid();
    if User::from_uid(uid).is_ok_and(|it| it.is_some()) {
        return Ok(());
    }
    let places = ["lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu", "lib", "lib64"];
    let library = places.map(|it| Path::new("/usr").join(it).join("libnss_wrapper.so"));
    let library = library.iter().find(|it| it.exists()).ok_or(Error::NoUserName(uid.as_raw()))?;
    let gid = nix::unistd::getegid().as_raw();
    let files = [
        ("NSS_WRAPPER_PASSWD", "passwd", crate::pods::passwd(uid.as_raw(), gid)),
        ("NSS_WRAPPER_GROUP", "group", format!("postgres:x:{gid}:\n")),
    ];
    for (variable, name, text) in files {
        let path = member_dir.join(name);
        fs::write(&path, text).map_err(Error::file("write", &path))?;
        command.env(variable, path);
    }
    command.env("LD_PRELOAD", library);
    Ok(())
}

fn ctype_argument() -> Option<&'static str> {
    let has_locale = |name: &str| Path::new("/usr/lib/locale").join(name).exists();
    if has_locale("C.utf8") || has_locale("C.UTF-8") { Some("--lc-ctype=C.UTF-8") } else { None }
}

/// The line that says why, out of what initdb prints.
fn reason(stderr: &str) -> String {
    let telling = ["No space left on device", "FATAL", "error:", "PANIC"];
    telling
        .iter()
        .find_map(|word| stderr.lines().find(|line| line.contains(word)))
        .or_else(|| stderr.lines().rfind(|line| !line.trim().is_empty()))
        .map_or_else(|| "no message".into(), |line| crate::log::without_prefix(line.trim()).to_owned())
}

async fn make_durable(member_dir: &Path) -> Result<(), Error> {
    let directory = member_dir.to_owned();
    let synced = tokio::task::spawn_blocking(move || -> std::io::Result<()> {
        let handle = File::open(&directory)?;
        nix::unistd::syncfs(&handle)?;
        File::create(directory.join(MARKER))?.sync_all()?;
        handle.sync_all()
    });
    synced.await.expect("the closure does not panic").map_err(Error::file("sync", member_dir))
}

const MARKER: &str = "initialised";
