//! Which programs of PostgreSQL a group uses, and the message when there are none.
use std::path::Path;

use howdah_instance::binaries::{self, Missing, SUPPORTED};
pub(crate) use howdah_instance::binaries::{Binaries, usual_places};

use crate::Error;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted<'a> {
    pub(crate) bin_dir: Option<&'a Path>,
    pub(crate) major: Option<u32>,
    /// Why it must be that version.
    pub(crate) because: &'static str,
}

/// The newest installation that fits.
pub(crate) fn find(wanted: &Wanted<'_>) -> Result<Binaries, Error> {
    binaries::find(wanted.bin_dir, wanted.major).map_err(|missing| {
        let versions = || format!("{} to {}", SUPPORTED.start(), SUPPORTED.end());
        let major = wanted.major.map_or_else(versions, |it| it.to_string());
        match missing {
            Missing::Wrong(Binaries { bin_dir, version: found, .. }) => {
                let wanted_text = format!("PostgreSQL {major}");
                Error::WrongVersion { bin_dir, found, wanted: wanted_text, because: wanted.because }
            }
            Missing::Nothing { .. } => {
                let usual = || "PATH, /usr/lib/postgresql/*/bin".to_owned();
                let looked = wanted.bin_dir.map_or_else(usual, |it| it.display().to_string());
                Error::NoPostgres { wanted: major, looked }
            }
        }
    })
}
