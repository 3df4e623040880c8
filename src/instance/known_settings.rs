//! Which settings the server shall start with, so that no setting ever keeps it from starting.
//!
//! *Wanted* are those that were asked for last and looked right; *good* are those that the server has run with. When it
//! does not start with those that are wanted, it is tried with the good ones, and then in turn: what failed may have had
//! another reason. Once it runs with the good ones, the wanted ones are put aside, and why is told to whoever asks. What
//! ALTER SYSTEM has set goes the same way.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::auto_conf::AutoConf;
use crate::config::data_dir;
use crate::control::SettingsError;
use crate::settings;

pub(crate) type Settings = BTreeMap<String, String>;

pub(crate) struct KnownSettings {
    wanted: Settings,
    good: Settings,
    /// The last start was one with the good ones instead.
    falls_back: bool,
    put_aside: bool,
    error: Option<SettingsError>,
    file: PathBuf,
    auto_conf: AutoConf,
}

impl KnownSettings {
    /// Without good ones of an earlier life the defaults are: they always work.
    pub(crate) fn new(wanted: Settings, member_dir: &Path) -> Self {
        let file = member_dir.join("settings.json");
        let auto_conf = AutoConf::new(&data_dir(member_dir), member_dir);
        let good = fs::read_to_string(&file).ok().and_then(|it| serde_json::from_str(&it).ok());
        let good = good.unwrap_or_else(|| settings::layered([]));
        Self { wanted, good, falls_back: false, put_aside: false, error: None, file, auto_conf }
    }

    /// For the start after so many failures in a row.
    pub(crate) fn choose(&mut self, failures: u32) -> io::Result<&Settings> {
        // As asked for; with the good ones; without what ALTER SYSTEM has set since; with neither.
        let (without_wanted, without_auto) = (failures % 2 == 1, 2 <= failures % 4);
        self.falls_back = self.wanted != self.good && (self.put_aside || without_wanted);
        self.auto_conf.choose(without_auto)?;
        Ok(self.in_force())
    }

    pub(crate) fn in_force(&self) -> &Settings {
        if self.falls_back { &self.good } else { &self.wanted }
    }

    pub(crate) fn error(&self) -> Option<&SettingsError> {
        self.error.as_ref()
    }

    /// The server runs with those in force; `reason` is why it did not the time before.
    pub(crate) fn ready(&mut self, reason: Option<&str>) {
        let reason = reason.unwrap_or("the server did not start with them");
        if !self.falls_back {
            self.error = None;
            self.remember();
        } else if !self.put_aside {
            self.put_aside = true;
            self.error = Some(refusal(&self.wanted, reason));
        }
        if self.auto_conf.ready() {
            let message = format!("what ALTER SYSTEM has set was put aside: {reason}");
            self.error.get_or_insert_with(|| refusal(&self.wanted, &message));
        }
    }

    /// New ones have been checked and are in the server's file. Without a restart to come they are good as well.
    pub(crate) fn accept(&mut self, wanted: Settings, needs_restart: bool) {
        self.wanted = wanted;
        (self.falls_back, self.put_aside, self.error) = (false, false, None);
        if !needs_restart {
            self.remember();
        }
    }

    pub(crate) fn refuse(&mut self, error: SettingsError) {
        self.error = Some(error);
    }

    /// A full disk must not keep a server from running: then an older state is remembered.
    fn remember(&mut self) {
        if self.good == self.wanted && self.file.exists() {
            return;
        }
        self.good.clone_from(&self.wanted);
        let text = serde_json::to_string_pretty(&self.good).expect("settings are plain data");
        let beside = self.file.with_extension("new");
        let written = fs::write(&beside, text).and_then(|()| fs::rename(&beside, &self.file));
        if let Err(error) = written {
            tracing::warn!(%error, "could not remember the settings that work");
        }
    }
}

/// What is wrong with these settings, in Postgres' words.
pub(crate) fn refusal(settings: &Settings, message: &str) -> SettingsError {
    let named = |it: &&String| message.contains(&format!("\"{it}\""));
    // "invalid value for parameter "work_mem": "8XB" in file "/var/…/howdah.conf" line 9": nobody knows that file.
    let error = message.split(" in file \"").next().unwrap_or(message);
    let error = error.trim_start_matches("invalid PostgreSQL configuration: ").trim();
    SettingsError {
        settings_hash: settings::hash(settings),
        parameter: settings.keys().find(named).cloned(),
        error: error.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(value: &str) -> Settings {
        Settings::from([("work_mem".to_owned(), value.to_owned())])
    }

    #[test]
    fn what_does_not_start_is_put_aside_and_said() {
        let dir = tempfile::tempdir().unwrap();
        let mut known = KnownSettings::new(one("1MB"), dir.path());
        assert_eq!(known.choose(0).unwrap(), &one("1MB"));
        known.ready(None);
        // The next life of the instance manager, with other settings.
        let mut known = KnownSettings::new(one("huge"), dir.path());
        assert_eq!(known.choose(0).unwrap(), &one("huge"));
        assert_eq!(known.choose(1).unwrap(), &one("1MB"));
        assert_eq!(known.choose(2).unwrap(), &one("huge"));
        assert_eq!(known.choose(3).unwrap(), &one("1MB"));
        known.ready(Some("invalid value for parameter \"work_mem\": \"huge\" in file \"/x\" line 1"));
        assert_eq!(known.choose(0).unwrap(), &one("1MB"));
        let error = known.error().unwrap();
        assert_eq!(error.parameter.as_deref(), Some("work_mem"));
        assert_eq!(error.error, "invalid value for parameter \"work_mem\": \"huge\"");
        assert_eq!(error.settings_hash, settings::hash(&one("huge")));
        known.accept(one("2MB"), false);
        assert_eq!(known.error(), None);
        assert_eq!(known.choose(0).unwrap(), &one("2MB"));
    }

    #[test]
    fn what_needs_a_restart_is_good_only_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut known = KnownSettings::new(one("1MB"), dir.path());
        known.choose(0).unwrap();
        known.ready(None);
        known.accept(one("2MB"), true);
        assert_eq!(known.choose(1).unwrap(), &one("1MB"));
        assert_eq!(known.choose(2).unwrap(), &one("2MB"));
        known.ready(None);
        assert_eq!(known.choose(1).unwrap(), &one("2MB"));
    }
}
