//! Whether the number of workers may change as asked.

/// A worker's data would be gone, or nobody would hold the shards.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ShrinkRefused {
    #[error("the server group has {existing} workers and cannot shrink to {desired}")]
    FewerWorkers { existing: u32, desired: u32 },
    #[error("a server group without workers is not supported yet")]
    NoWorkers,
}

/// Workers may be added. Taking one away needs its shards drained first.
pub fn check_worker_count(existing: u32, desired: u32) -> Result<(), ShrinkRefused> {
    if desired < existing {
        return Err(ShrinkRefused::FewerWorkers { existing, desired });
    }
    if desired == 0 { Err(ShrinkRefused::NoWorkers) } else { Ok(()) }
}
