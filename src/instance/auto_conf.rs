//! `postgresql.auto.conf`, where ALTER SYSTEM writes: of the settings that can keep a server from starting, those that
//! nobody has asked us for.
//!
//! Postgres checks each when it is set, but not whether all of them together fit the machine. What the server last ran with
//! is kept beside the data directory, and takes the file's place while a start is tried without what came since.
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub(crate) struct AutoConf {
    file: PathBuf,
    good: PathBuf,
    /// What the good one stands in for.
    set_aside: Option<String>,
}

impl AutoConf {
    pub(crate) fn new(data: &Path, member_dir: &Path) -> Self {
        let good = member_dir.join("postgresql.auto.conf.good");
        Self { file: data.join("postgresql.auto.conf"), good, set_aside: None }
    }

    /// Whether there is something that the server has not run with.
    pub(crate) fn is_new(&self) -> bool {
        let good = fs::read_to_string(&self.good);
        self.set_aside.is_some() || good.is_ok_and(|it| self.read().is_ok_and(|now| now != it))
    }

    /// Puts the one in place that the next start shall be tried with.
    pub(crate) fn choose(&mut self, good: bool) -> io::Result<()> {
        match (good, self.set_aside.take()) {
            (true, None) if self.is_new() => {
                self.set_aside = Some(self.read()?);
                fs::copy(&self.good, &self.file).map(drop)
            }
            (false, Some(text)) => fs::write(&self.file, text),
            (_, set_aside) => {
                self.set_aside = set_aside;
                Ok(())
            }
        }
    }

    /// The server runs with the one in place. True if that is not the one that was set: it is kept to be read.
    pub(crate) fn ready(&mut self) -> bool {
        if let Some(text) = self.set_aside.take() {
            let _ = fs::write(self.file.with_extension("conf.refused"), text);
            return true;
        }
        if self.is_new() || !self.good.exists() {
            let beside = self.good.with_extension("new");
            let copied = fs::copy(&self.file, &beside).and_then(|_| fs::rename(&beside, &self.good));
            if let Err(error) = copied {
                tracing::warn!(%error, "could not remember the settings that work");
            }
        }
        false
    }

    fn read(&self) -> io::Result<String> {
        fs::read_to_string(&self.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_start_is_set_aside_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("postgresql.auto.conf");
        fs::write(&file, "a = 1").unwrap();
        let mut auto = AutoConf::new(dir.path(), dir.path());
        assert!(!auto.is_new() && !auto.ready());
        fs::write(&file, "a = huge").unwrap();
        assert!(auto.is_new());
        auto.choose(true).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "a = 1");
        auto.choose(false).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "a = huge");
        auto.choose(true).unwrap();
        assert!(auto.ready());
        assert_eq!(fs::read_to_string(&file).unwrap(), "a = 1");
        assert_eq!(fs::read_to_string(dir.path().join("postgresql.auto.conf.refused")).unwrap(), "a = huge");
        assert!(!auto.is_new());
    }
}
