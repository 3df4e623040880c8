//! Identifiers: truncation, and the names of shards.

use crate::hash::hash_bytes;

/// Bytes of storage of a `name`, with its terminating zero.
pub const NAMEDATALEN: usize = 64;

/// Clips an identifier to what PostgreSQL keeps of it, never inside a UTF-8 character.
pub fn truncate_identifier(name: &str) -> &str {
    clip(name, NAMEDATALEN - 1)
}

/// The name of a shard, or of an index or constraint on it: `<name>_<shardid>`.
///
/// What would be too long is clipped and carries the hash of the whole name, as Citus does, so that
/// names that differ only at their end stay different.
pub fn shard_name(name: &str, shard_id: i64) -> String {
    let suffix = format!("_{shard_id}");
    if name.len() + suffix.len() < NAMEDATALEN {
        return format!("{name}{suffix}");
    }
    let kept = clip(name, NAMEDATALEN - suffix.len() - "_01234567".len() - 1);
    format!("{kept}_{:08x}{suffix}", hash_bytes(name.as_bytes()))
}

fn clip(name: &str, bytes: usize) -> &str {
    &name[..name.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shard_names_fit() {
        assert_eq!(shard_name("orders", 102_008), "orders_102008");
        let long = "a".repeat(56);
        assert_eq!(shard_name(&long, 102_008), format!("{long}_102008"));
        for name in ["b".repeat(57), "ü".repeat(31)] {
            let shard = shard_name(&name, 102_008);
            assert!(shard.len() < NAMEDATALEN && shard.ends_with("_102008"), "{shard}");
        }
    }

    #[test]
    fn truncation_keeps_characters_whole() {
        assert_eq!(truncate_identifier("t"), "t");
        assert_eq!(truncate_identifier(&"ü".repeat(40)), "ü".repeat(31));
    }
}
