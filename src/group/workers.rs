//! Whether a server group can have this number of workers.

/// Nobody would hold the shards.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "a server group needs a worker: the coordinator cannot hold shards of distributed tables yet\nhint: Ask for 1 worker or more."
)]
pub struct NoWorkers;

/// That a worker which leaves holds no shards is for the catalog to say, when it is removed from it.
pub fn check_worker_count(desired: u32) -> Result<(), NoWorkers> {
    if desired == 0 { Err(NoWorkers) } else { Ok(()) }
}
