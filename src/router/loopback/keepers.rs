//! Keepers on the workers: how they are opened, all at one moment.

use std::collections::{BTreeMap, BTreeSet};

use howdah_catalog::GroupId;

use super::fetch::{key, run};
use super::flight::Flight;
use super::host::Host;
use super::live::{Caller, Live};
use super::snapshots::KeeperId;
use crate::error::{Error, Result};
use crate::fence::Hold;

impl Live {
    /// Opens the keeper of a statement on all workers that it may yet read, within the fence. Without one, each worker has its
    /// keeper opened with the first scan there.
    pub(super) async fn take_snapshots<H: Host>(
        &mut self,
        host: &mut H,
        caller: &Caller,
        keeper: KeeperId,
        needed: &BTreeSet<GroupId>,
    ) -> Result<()> {
        if !self.snapshots.is_new(keeper) {
            return match needed.iter().find(|it| self.left_out.contains(&(keeper, **it))) {
                Some(group) => Err(not_in_snapshot(*group)),
                None => Ok(()),
            };
        }
        let mut groups = readable(host);
        groups.extend(needed);
        if groups.len() < 2 {
            return Ok(());
        }
        // A worker that is down is nobody's loss unless it is needed.
        for group in groups.clone() {
            match host.worker(group).await {
                Ok(_) => {}
                Err(error) if needed.contains(&group) => return Err(error),
                Err(_) => {
                    groups.remove(&group);
                    self.left_out.insert((keeper, group));
                }
            }
        }
        match host.fence(&groups).await? {
            Some(hold) => Hold::cover(hold, self.open_keeper(host, caller, keeper, &groups)).await,
            None => Ok(()),
        }
    }

    /// Opens a keeper where it is not open yet.
    pub(super) async fn open_keeper<H: Host>(
        &mut self,
        host: &mut H,
        caller: &Caller,
        keeper: KeeperId,
        groups: &BTreeSet<GroupId>,
    ) -> Result<()> {
        let missing: Vec<_> =
            groups.iter().copied().filter(|it| !self.snapshots.is_open(keeper, *it)).collect();
        let mut flights = BTreeMap::new();
        for group in &missing {
            let mut flight = Flight::default();
            self.push_closings(&mut flight, *group);
            declare_keeper(&mut flight, keeper, &key(host, *group).await?);
            flights.insert(*group, flight);
        }
        run(host, caller, flights).await?;
        for group in missing {
            self.snapshots.opened(keeper, group, self.depth);
        }
        Ok(())
    }
}

/// The workers that have shards.
pub(super) fn readable<H: Host>(host: &H) -> BTreeSet<GroupId> {
    let catalog = host.catalog();
    let distributed = catalog.tables().filter(|it| !it.is_reference());
    distributed.flat_map(|it| it.shards().iter().map(|it| it.group)).collect()
}

fn not_in_snapshot(group: GroupId) -> Error {
    let reason = "it could not be reached when the statement began".to_owned();
    Error::ConnectionLost { group, reason }
}

pub(super) fn declare_keeper(flight: &mut Flight, keeper: KeeperId, key: &str) {
    flight.command(
        &format!(
            "DECLARE {} NO SCROLL CURSOR FOR SELECT howdah.open($1, pg_catalog.current_setting('howdah.cursor'), \
             pg_catalog.current_setting('howdah.query'), pg_catalog.current_setting('howdah.shard')) \
             FROM (SELECT pg_catalog.generate_series(1, 1000000000)) AS calls",
            keeper.cursor_name()
        ),
        &[Some(key)],
    );
}
