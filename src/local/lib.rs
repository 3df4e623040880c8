//! A whole server group on one machine: local processes instead of pods, the same decisions.
//!
//! `up` (the front) reads the ServerGroup, prepares the directory and starts the *supervisor*, a process of
//! its own that runs as an unprivileged user, holds the directory's lock, starts one `howdah instance` per
//! member and a `howdah router`, and applies what `group::decide` says until told to stop.
//!
//! Invariants: a directory has at most one supervisor (a lock that the kernel frees); everything a group
//! consists of lies in its directory, so that two groups share nothing; every process ends with its parent
//! (the end of a pipe, or the kernel's signal), so `kill -9` of any of them leaves no orphan; nothing is
//! remembered that cannot be found out again from the directory.
//!
//! Linux only: it relies on /proc, parent-death signals and file locks.
mod binaries;
mod connect;
mod directory;
mod down;
mod error;
mod layout;
mod logs;
mod os_user;
mod parameters;
mod pki;
mod ports;
mod psql;
mod record;
mod run_dir;
mod spec;
mod state;
mod supervisor;
mod up;

pub use self::directory::default_dir;
pub use self::down::{KillReport, Wipe, down, kill};
pub use self::error::Error;
pub use self::layout::Layout;
pub use self::logs::logs;
pub use self::psql::psql;
pub use self::record::{Login, uri};
pub use self::state::{MemberState, MemberStatus, Role, Status, status};
pub use self::supervisor::{Progress, supervise};
pub use self::up::{Supervised, Up, UpRequest};
