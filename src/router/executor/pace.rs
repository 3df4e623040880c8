//! How many tasks a connection is given at once.
//!
//! Tasks that wait on a connection can no longer be given to another, and each answer that is waited for costs a round
//! trip. So a connection gets what it is expected to do in a short while, as tasks of the same plan went before.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The time of a task of one plan, in microseconds; 0 as long as nobody knows.
#[derive(Debug, Default)]
pub(crate) struct Pace(AtomicU32);

/// What a connection may be given to do without another being able to help.
const PORTION: Duration = Duration::from_millis(5);

impl Pace {
    /// How many of the waiting tasks to send together.
    pub(super) fn portion(&self, waiting: usize) -> usize {
        match self.0.load(Ordering::Relaxed) {
            0 => 1,
            micros => {
                let fit = PORTION.as_micros() / u128::from(micros);
                usize::try_from(fit).unwrap_or(usize::MAX).max(1)
            }
        }
        .min(waiting)
    }

    /// So many tasks took so long.
    pub(super) fn note(&self, tasks: usize, took: Duration) {
        let each = took.as_micros() / u128::try_from(tasks.max(1)).unwrap_or(1);
        self.0.store(u32::try_from(each).unwrap_or(u32::MAX).max(1), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_tasks_go_together_and_long_ones_alone() {
        let pace = Pace::default();
        assert_eq!(pace.portion(16), 1);
        pace.note(1, Duration::from_millis(1));
        assert_eq!(pace.portion(16), 5);
        pace.note(5, Duration::from_millis(1));
        assert_eq!(pace.portion(16), 16);
        pace.note(2, Duration::from_secs(8));
        assert_eq!(pace.portion(16), 1);
        assert_eq!(pace.portion(0), 0);
    }
}
