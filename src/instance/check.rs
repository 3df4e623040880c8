//! Has the node's own Postgres judge settings before anything is changed.
//!
//! A directory beside the data directory has just what Postgres reads before it touches data: the configuration, the
//! version and the control file. `postgres -C` then reads all settings, loads the libraries that they name, and says
//! how much shared memory it would want.
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use crate::binaries::Binaries;
use crate::control::SettingsError;
use crate::known_settings::{Settings, refusal};
use crate::{Error, InstanceConfig, files, memory, postgres, settings};

/// `Ok(Err(_))` names what is wrong with the settings; `Err` says that they could not be judged.
pub(crate) async fn check(
    config: &InstanceConfig,
    binaries: &Binaries,
    wanted: &Settings,
) -> Result<Result<(), SettingsError>, Error> {
    for (name, value) in wanted {
        // What the drivers add by themselves is no user's.
        if name != "max_prepared_transactions"
            && let Err(reason) = settings::check(name, value)
        {
            let refused = SettingsError { parameter: Some(name.clone()), ..refusal(wanted, &reason) };
            return Ok(Err(refused));
        }
    }
    let directory = config.member_dir.join("check");
    let result = judge(config, binaries, wanted, &directory).await;
    let _ = fs::remove_dir_all(&directory);
    result
}

async fn judge(
    config: &InstanceConfig,
    binaries: &Binaries,
    wanted: &Settings,
    directory: &Path,
) -> Result<Result<(), SettingsError>, Error> {
    make_directory(config, wanted, directory)?;
    let shared_memory = match ask(binaries, directory, "shared_memory_size").await? {
        Ok(megabytes) => megabytes.parse::<u64>().ok(),
        Err(message) => return Ok(Err(refusal(wanted, &message))),
    };
    let (Some(needed), Some(available)) = (shared_memory, memory::available_kilobytes()) else {
        return Ok(Ok(()));
    };
    if available < needed * 1024 {
        let message = format!(
            "the settings ask for {needed} MB of shared memory (\"shared_buffers\" most of it), but there are {} MB of memory",
            available / 1024
        );
        let refused = SettingsError { parameter: Some("shared_buffers".into()), ..refusal(wanted, &message) };
        return Ok(Err(refused));
    }
    Ok(Ok(()))
}

fn make_directory(config: &InstanceConfig, wanted: &Settings, directory: &Path) -> Result<(), Error> {
    let _ = fs::remove_dir_all(directory);
    let global = directory.join("global");
    let made = fs::DirBuilder::new().mode(0o700).recursive(true).create(&global);
    made.map_err(Error::file("create", &global))?;
    fs::set_permissions(directory, std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .map_err(Error::file("protect", directory))?;
    let data = config.data_dir();
    for name in ["PG_VERSION", "global/pg_control", "postgresql.conf", "postgresql.auto.conf"] {
        let from = data.join(name);
        fs::copy(&from, directory.join(name)).map_err(Error::file("copy", &from))?;
    }
    files::write_settings(config, wanted, directory)
}

/// What a setting would be, or what Postgres says instead.
pub(crate) async fn ask(
    binaries: &Binaries,
    directory: &Path,
    name: &str,
) -> Result<Result<String, String>, Error> {
    let program = binaries.program("postgres");
    let mut command = Command::new(&program);
    command.arg("-D").arg(directory).args(["-C", name]).current_dir(directory).stdin(Stdio::null());
    postgres::clean_environment(&mut command);
    let output = command.output().await.map_err(|source| Error::Spawn { program, source })?;
    if output.status.success() {
        return Ok(Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()));
    }
    Ok(Err(reason(&String::from_utf8_lossy(&output.stderr))))
}

/// The first thing that Postgres complains of; its last line only says that there were complaints.
fn reason(stderr: &str) -> String {
    let line = stderr.lines().find(|it| !it.trim().is_empty()).unwrap_or("no message");
    let message = line.split_once("LOG:").or_else(|| line.split_once("FATAL:")).map_or(line, |it| it.1);
    message.trim().to_owned()
}
