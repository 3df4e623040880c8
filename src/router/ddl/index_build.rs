//! CREATE INDEX CONCURRENTLY on the shards, after the coordinator's own part: one shard after the other, each by itself.
//!
//! What is done is known to the nodes alone (see `metadata/sql/index_build.sql`), so that any session may go on with it.

use howdah_catalog::GroupId;

use crate::error::{Error, Result};
use crate::session::Session;

/// What one shard needs.
struct Step {
    group: GroupId,
    /// Tells whether the shard has the index: valid, invalid, or not at all.
    probe: String,
    removal: String,
    command: String,
}

impl Session {
    /// Builds what this session has begun, and makes it count.
    pub(super) async fn build_indexes(&mut self) -> Result<()> {
        let steps = self.index_build_steps().await?;
        if steps.is_empty() {
            return Ok(());
        }
        for step in &steps {
            self.build_index(step).await?;
        }
        // It asks the workers over the loopback, which this session serves meanwhile.
        self.transaction.open_statement();
        let coordinator = self.participant(GroupId::COORDINATOR).await?;
        coordinator.queue_query("SELECT howdah.finish_index_builds()");
        coordinator.flush().await?;
        self.transaction.mark_writer(GroupId::COORDINATOR);
        self.coordinator_rows().await?;
        Ok(())
    }

    async fn index_build_steps(&mut self) -> Result<Vec<Step>> {
        let query = "SELECT groupid, probe, removal, command FROM howdah.index_build_steps()";
        let rows = self.participant(GroupId::COORDINATOR).await?.rows(query).await?;
        rows.into_iter().map(step).collect()
    }

    async fn build_index(&mut self, step: &Step) -> Result<()> {
        let found = self.participant(step.group).await?.rows(&step.probe).await?;
        match found.into_iter().flatten().flatten().next().as_deref() {
            Some("t") => return Ok(()),
            Some(_) => self.run_alone(step.group, &step.removal).await?,
            None => {}
        }
        self.run_alone(step.group, &step.command).await
    }

    /// A command that PostgreSQL takes only by itself.
    pub(super) async fn run_alone(&mut self, group: GroupId, text: &str) -> Result<()> {
        let in_block = self.transaction.is_in_progress();
        let connection = self.participant(group).await?;
        // Settings go in front of what comes next, and would be one transaction with it. In a block they are anyway, and
        // a SELECT would take its snapshot, which LOCK does not.
        if !in_block {
            connection.run("SELECT").await?;
        }
        connection.run(text).await
    }
}

fn step(row: Vec<Option<String>>) -> Result<Step> {
    let mut fields = row.into_iter().map(Option::unwrap_or_default);
    let mut next = || fields.next().unwrap_or_default();
    let group = next().parse().map_err(|_| Error::Internal("an index build names no node".to_owned()))?;
    Ok(Step { group: GroupId(group), probe: next(), removal: next(), command: next() })
}
