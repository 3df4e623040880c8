//! Whether a scan may stand in a STABLE function, which must not see what was written since the statement that calls it began.
//!
//! A VOLATILE function's query sees it, and nothing that `postgres_fdw` sends tells the two apart. After a write, a new cursor is
//! therefore refused if the code of users has a STABLE function that reads distributed tables and is called where it
//! matters: by a query that may have written, or that may be suspended while others write (`live_functions.sql`).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use howdah_catalog::{CatalogVersion, GroupId};
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::router::Router;

/// What `howdah.stable_readers()` says.
#[derive(Debug, Deserialize)]
pub(super) struct Readers {
    /// STABLE functions that may read distributed tables.
    names: BTreeSet<String>,
    /// VOLATILE functions that may use them.
    others: BTreeSet<String>,
    /// Whether one of the first is called by a query of some function or view.
    nested: bool,
}

/// Kept for a version of the catalog, by all sessions of a router.
#[derive(Default)]
pub(crate) struct KnownReaders(Mutex<Option<(CatalogVersion, Arc<Readers>)>>);

/// The client's statements that may be running: the current one, and those whose portals are open.
#[derive(Debug, Default)]
pub(super) struct Running {
    current: Vec<u8>,
    held: Vec<Vec<u8>>,
    /// The transaction has made functions that nobody else can read yet.
    makes_functions: bool,
}

const QUERIES: [&str; 6] = ["from", "update", "delete", "insert", "merge", "using"];

impl KnownReaders {
    pub(super) async fn get(&self, router: &Router) -> Result<Arc<Readers>> {
        let version = router.catalog.borrow().version();
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, readers)) = known.filter(|it| it.0 == version) {
            return Ok(readers);
        }
        // It reads only catalogs, which no statement of a user locks.
        let mut coordinator = router.pools.acquire(GroupId::COORDINATOR, &router.config.superuser).await?;
        let rows = coordinator.rows("SELECT howdah.stable_readers()").await?;
        let document = rows.into_iter().flatten().next().flatten().unwrap_or_default();
        let readers: Readers = serde_json::from_str(&document)
            .map_err(|error| Error::Internal(format!("functions that cannot be read: {error}")))?;
        let readers = Arc::new(readers);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((version, readers.clone()));
        Ok(readers)
    }
}

impl Running {
    pub(super) fn begin(&mut self, text: &[u8]) {
        self.current.clear();
        self.current.extend_from_slice(text);
        let starts = |it: &str| {
            text.trim_ascii_start()
                .get(..it.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(it.as_bytes()))
        };
        if starts("create") || starts("alter") {
            let text = String::from_utf8_lossy(text).to_lowercase();
            let words = words(&text);
            let kinds = ["function", "view", "operator", "cast"];
            self.makes_functions |= kinds.iter().any(|it| words.contains(it));
        }
    }

    /// A portal of the current statement stays open.
    pub(super) fn hold(&mut self) {
        if !self.held.contains(&self.current) {
            self.held.push(self.current.clone());
        }
    }

    /// Whether a STABLE function may be called where it would see too much.
    pub(super) fn may_call(&self, readers: &Readers) -> bool {
        if self.makes_functions || readers.nested {
            return true;
        }
        let calls = |fragment: &str| {
            let words = words(fragment);
            let has = |names: &BTreeSet<String>| names.iter().any(|it| words.contains(it.as_str()));
            has(&readers.names) && (QUERIES.iter().any(|it| words.contains(it)) || has(&readers.others))
        };
        self.held.iter().chain([&self.current]).any(|it| {
            let text = String::from_utf8_lossy(it).to_lowercase();
            fragments(&text).into_iter().any(calls)
        })
    }
}

fn words(text: &str) -> BTreeSet<&str> {
    let is_word = |it: char| it.is_alphanumeric() || it == '_' || it == '$' || !it.is_ascii();
    text.split(move |it| !is_word(it)).filter(|it| !it.is_empty()).collect()
}

/// The statements of a text, roughly: one with a semicolon inside of a literal is whole.
fn fragments(text: &str) -> Vec<&str> {
    let in_literal = text.split('\'').skip(1).step_by(2).any(|it| it.contains(';'));
    if in_literal { vec![text] } else { text.split(';').collect() }
}

pub(super) fn unclear() -> Error {
    Error::NotSupported {
        message: "cannot read a distributed table here after a write in the same statement".to_owned(),
        detail: Some(
            "A STABLE function that reads distributed tables is called by a query that may have written: what it reads now \
             would not be what PostgreSQL lets it see."
                .to_owned(),
        ),
        hint: Some("Declare the function VOLATILE, or call it outside of queries that write.".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may_call(text: &str, nested: bool) -> bool {
        let set = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect();
        let readers = Readers { names: set(&["old_sum"]), others: set(&["bump"]), nested };
        let mut running = Running::default();
        running.begin(text.as_bytes());
        running.may_call(&readers)
    }

    #[test]
    fn stable_functions_matter_in_queries() {
        assert!(!may_call("SELECT bump(1)", false));
        assert!(may_call("SELECT bump(1)", true));
        assert!(!may_call("SELECT old_sum()", false));
        assert!(may_call("SELECT bump(1), OLD_SUM()", false));
        assert!(may_call("UPDATE events SET v = old_sum()", false));
        assert!(!may_call("DO $$ BEGIN UPDATE events SET v = 1; x := old_sum(); END $$", false));
        assert!(may_call("DO $$ BEGIN PERFORM old_sum(), ';' FROM events; END $$", false));
        assert!(may_call("CREATE FUNCTION f() RETURNS int", false));
    }
}
