//! A plan for one shard never leaves out a row that one server would use.
