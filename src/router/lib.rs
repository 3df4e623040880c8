//!
mod commit;
mod gid;
