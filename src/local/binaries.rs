//! Finds the programs of PostgreSQL: `--postgres-bin`, PATH, /usr/lib/postgresql/*/bin.
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Error;

/// One installation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Binaries {
    pub(crate) bin_dir: PathBuf,
    pub(crate) major: u32,
    /// As `postgres --version` prints it: `15.18`, `18beta1`.
    pub(crate) version: String,
}

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted<'a> {
    pub(crate) bin_dir: Option<&'a Path>,
    pub(crate) major: Option<u32>,
    /// Why it must be that version.
    pub(crate) because: &'static str,
}

pub(crate) const SUPPORTED: std::ops::RangeInclusive<u32> = 15..=18;

/// The newest installation that fits.
pub(crate) fn find(wanted: &Wanted<'_>) -> Result<Binaries, Error> {
    if let Some(bin_dir) = wanted.bin_dir {
        let found = probe(bin_dir).ok_or_else(|| not_found(wanted, &[bin_dir.to_owned()]))?;
        return if fits(&found, wanted) { Ok(found) } else { Err(wrong_version(&found, wanted)) };
    }
    let places = usual_places();
    let mut found: Vec<Binaries> = places.iter().filter_map(|it| probe(it)).collect();
    found.sort_by_key(|it| it.major);
    if let Some(fitting) = found.iter().rev().find(|it| fits(it, wanted)) {
        return Ok(fitting.clone());
    }
    match found.last() {
        Some(other) => Err(wrong_version(other, wanted)),
        None => Err(not_found(wanted, &places)),
    }
}

fn fits(found: &Binaries, wanted: &Wanted<'_>) -> bool {
    SUPPORTED.contains(&found.major) && wanted.major.is_none_or(|it| it == found.major)
}

/// Directories that may hold the programs, of this machine and of PATH.
pub(crate) fn usual_places() -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = std::env::var_os("PATH")
        .iter()
        .flat_map(std::env::split_paths)
        .filter(|it| it.is_absolute())
        .collect();
    if let Ok(versions) = fs::read_dir("/usr/lib/postgresql") {
        places.extend(versions.flatten().map(|it| it.path().join("bin")));
    }
    places.retain(|it| it.join("postgres").exists());
    places
}

/// `None` when there is no working server. Root asks as nobody would: the program refuses root, not the
/// question, but a stranger's program should not run with root's rights.
fn probe(bin_dir: &Path) -> Option<Binaries> {
    if !bin_dir.join("initdb").exists() {
        return None;
    }
    let mut command = Command::new(bin_dir.join("postgres"));
    command.arg("--version").stdin(Stdio::null()).stderr(Stdio::null());
    if nix::unistd::geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    let output = command.output().ok().filter(|it| it.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.strip_prefix("postgres (PostgreSQL) ")?.split_whitespace().next()?.to_owned();
    let digits = version.find(|it: char| !it.is_ascii_digit()).unwrap_or(version.len());
    let major = version[..digits].parse().ok()?;
    Some(Binaries { bin_dir: bin_dir.to_owned(), major, version })
}

fn wanted_text(wanted: &Wanted<'_>) -> String {
    wanted.major.map_or_else(|| format!("{} to {}", SUPPORTED.start(), SUPPORTED.end()), |it| it.to_string())
}

fn wrong_version(found: &Binaries, wanted: &Wanted<'_>) -> Error {
    Error::WrongVersion {
        bin_dir: found.bin_dir.clone(),
        found: found.version.clone(),
        wanted: format!("PostgreSQL {}", wanted_text(wanted)),
        because: wanted.because,
    }
}

fn not_found(wanted: &Wanted<'_>, places: &[PathBuf]) -> Error {
    let looked: Vec<String> = match wanted.bin_dir {
        Some(_) => places.iter().map(|it| it.display().to_string()).collect(),
        None => vec!["PATH".into(), "/usr/lib/postgresql/*/bin".into()],
    };
    Error::NoPostgres { wanted: wanted_text(wanted), looked: looked.join(", ") }
}
