//! Finds the programs of PostgreSQL: in a given directory, in PATH, and where packages and images put them.
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One installation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Binaries {
    pub bin_dir: PathBuf,
    pub major: u32,
    /// As `postgres --version` prints it: `15.18`, `18beta1`.
    pub version: String,
}

/// Why there is none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Missing {
    /// No server at all, in these directories.
    Nothing { looked: Vec<PathBuf> },
    /// Of another version.
    Wrong(Binaries),
}

pub const SUPPORTED: std::ops::RangeInclusive<u32> = 15..=18;

/// The newest installation that fits.
pub fn find(bin_dir: Option<&Path>, major: Option<u32>) -> Result<Binaries, Missing> {
    let places = bin_dir.map_or_else(usual_places, |it| vec![it.to_owned()]);
    let mut found: Vec<Binaries> = places.iter().filter_map(|it| probe(it)).collect();
    found.sort_by_key(|it| it.major);
    let fits =
        |it: &&Binaries| SUPPORTED.contains(&it.major) && major.is_none_or(|wanted| wanted == it.major);
    match (found.iter().rfind(fits), found.last()) {
        (Some(fitting), _) => Ok(fitting.clone()),
        (None, Some(other)) => Err(Missing::Wrong(other.clone())),
        (None, None) => Err(Missing::Nothing { looked: places }),
    }
}

impl Binaries {
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.bin_dir.join(name)
    }
}

/// Directories that hold the programs, of PATH, of packages and of well-known images.
pub fn usual_places() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH");
    let path = path.iter().flat_map(std::env::split_paths).filter(|it| it.is_absolute());
    let by_version = [("/usr/lib/postgresql", "bin"), ("/usr/libexec", "")];
    let by_version = by_version.iter().flat_map(|(parent, below)| {
        let entries = fs::read_dir(parent).into_iter().flatten().flatten();
        entries.map(|it| it.path().join(below)).collect::<Vec<_>>()
    });
    let packages = (15..=18).map(|it| PathBuf::from(format!("/usr/pgsql-{it}/bin")));
    let fixed = ["/usr/local/bin", "/usr/local/pgsql/bin", "/opt/bitnami/postgresql/bin"];
    let mut places: Vec<PathBuf> =
        path.chain(by_version).chain(packages).chain(fixed.map(PathBuf::from)).collect();
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
