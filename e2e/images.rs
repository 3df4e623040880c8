//! The images that the tests start: the binary of this checkout, and stock Postgres of several versions.
use std::collections::BTreeMap;
use std::fmt;
use std::hash::Hasher;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

#[derive(Clone, Debug)]
pub(crate) struct Images {
    pub(crate) howdah: Tagged,
    /// By major version; the first that is named counts.
    pub(crate) postgres: BTreeMap<u32, String>,
    /// Another of the newest version: what a minor update moves to.
    pub(crate) update: Option<String>,
}

impl Images {
    /// The tag of a Postgres image begins with its version, as those of the official ones do.
    pub(crate) fn new<'a>(howdah: Tagged, postgres: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let mut by_version = BTreeMap::<u32, Vec<String>>::new();
        for image in postgres {
            let tag = Tagged::parse(image)?.tag;
            let major = tag.split(|it: char| !it.is_ascii_digit()).next().unwrap_or_default();
            let major = major.parse().with_context(|| format!("no version in the tag of {image}"))?;
            by_version.entry(major).or_default().push(image.to_owned());
        }
        let Some(newest) = by_version.values().last() else { bail!("no Postgres image") };
        let update = newest.get(1).cloned();
        let postgres =
            by_version.into_iter().map(|(major, mut images)| (major, images.swap_remove(0))).collect();
        Ok(Self { howdah, postgres, update })
    }

    /// What the chart takes for groups that name no image: one name for all versions, where the images allow it.
    pub(crate) fn default_postgres(&self) -> String {
        let (version, newest) = self.newest();
        let Some(repository) = newest.strip_suffix(&format!(":{version}")) else { return newest.to_owned() };
        let named_alike =
            self.postgres.iter().all(|(version, image)| *image == format!("{repository}:{version}"));
        if named_alike { format!("{repository}:{{version}}") } else { newest.to_owned() }
    }

    /// The newest Postgres there is.
    pub(crate) fn newest(&self) -> (u32, &str) {
        let (version, image) = self.postgres.last_key_value().expect("there is at least one");
        (*version, image)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tagged {
    pub(crate) repository: String,
    pub(crate) tag: String,
}

impl Tagged {
    pub(crate) fn parse(image: &str) -> Result<Self> {
        let (repository, tag) = image.rsplit_once(':').with_context(|| format!("{image} has no tag"))?;
        Ok(Self { repository: repository.to_owned(), tag: tag.to_owned() })
    }

    /// The tag follows from the content: another binary is another image, and the same is never loaded twice.
    pub(crate) fn of_binary(repository: &str, binary: &Path) -> Result<Self> {
        let mut hasher = std::hash::DefaultHasher::new();
        hasher.write(&std::fs::read(binary)?);
        Ok(Self { repository: repository.to_owned(), tag: format!("{:016x}", hasher.finish()) })
    }
}

impl fmt::Display for Tagged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}

/// A copy of the binary without debugging information, which is most of it.
pub(crate) fn stripped(binary: &Path, directory: &Path) -> Result<PathBuf> {
    let copy = directory.join("howdah");
    let status =
        Command::new("strip").arg("-o").arg(&copy).arg(binary).status().context("cannot start strip")?;
    if !status.success() {
        bail!("cannot strip {}", binary.display());
    }
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_the_tag() {
        let howdah = Tagged::parse("registry.test:5000/howdah:dev").expect("a tag");
        assert_eq!((howdah.repository.as_str(), howdah.tag.as_str()), ("registry.test:5000/howdah", "dev"));
        let images =
            Images::new(howdah.clone(), ["postgres:15", "postgres:17.6-trixie"]).expect("two versions");
        assert_eq!(images.newest(), (17, "postgres:17.6-trixie"));
        assert_eq!(images.default_postgres(), "postgres:17.6-trixie");
        let alike = Images::new(howdah.clone(), ["postgres:15", "postgres:17"]).expect("two versions");
        assert_eq!(alike.default_postgres(), "postgres:{version}");
        assert_eq!(alike.update, None);
        let twice = Images::new(howdah.clone(), ["postgres:17", "postgres:17-update"]).expect("one version");
        assert_eq!(
            (twice.newest(), twice.update.as_deref()),
            ((17, "postgres:17"), Some("postgres:17-update"))
        );
        assert!(Images::new(howdah.clone(), ["postgres:latest"]).is_err());
        assert!(Images::new(howdah, []).is_err());
    }
}
