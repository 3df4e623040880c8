//! The `howdah` binary: arguments -> configuration -> run.
fn main() {}
