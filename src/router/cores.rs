//! The threads that serve sessions: one for each core, each with a runtime of its own.
//!
//! A session stays on the core that it began on, and so do the server connections that it uses: a statement passes from
//! socket to socket without waking another thread.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

/// Which core something belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct CoreId(usize);

pub(crate) struct Cores {
    cores: Vec<Arc<Core>>,
    threads: Vec<JoinHandle<()>>,
    stop: CancellationToken,
}

struct Core {
    id: CoreId,
    runtime: Handle,
    sessions: AtomicUsize,
}

/// A session's place on a core.
pub(crate) struct Seat(Arc<Core>);

impl CoreId {
    /// The runtime that the router itself runs on, for whatever is no session's.
    pub(crate) const ROUTER: Self = Self(0);

    pub(crate) fn index(self) -> usize {
        self.0
    }
}

impl Cores {
    pub(crate) fn start(count: NonZeroUsize) -> io::Result<Self> {
        let mut cores = Self { cores: Vec::new(), threads: Vec::new(), stop: CancellationToken::new() };
        for number in 1..=count.get() {
            cores.start_one(CoreId(number))?;
        }
        Ok(cores)
    }

    fn start_one(&mut self, id: CoreId) -> io::Result<()> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let core = Core { id, runtime: runtime.handle().clone(), sessions: AtomicUsize::new(0) };
        let stopped = self.stop.clone().cancelled_owned();
        let thread = std::thread::Builder::new().name(format!("sessions {}", id.0));
        self.threads.push(thread.spawn(move || runtime.block_on(stopped))?);
        self.cores.push(Arc::new(core));
        Ok(())
    }

    /// A place on the core that has the fewest sessions.
    pub(crate) fn seat(&self) -> Seat {
        let core = self.cores.iter().min_by_key(|it| it.sessions.load(Ordering::Relaxed));
        let core = core.expect("there is a core at least");
        core.sessions.fetch_add(1, Ordering::Relaxed);
        Seat(core.clone())
    }
}

impl Seat {
    pub(crate) fn core(&self) -> CoreId {
        self.0.id
    }

    pub(crate) fn runtime(&self) -> Handle {
        self.0.runtime.clone()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.sessions.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Cores {
    fn drop(&mut self) {
        self.stop.cancel();
        for thread in self.threads.drain(..) {
            // It panics only with a bug of the runtime itself, which has said so.
            let _ = thread.join();
        }
    }
}
