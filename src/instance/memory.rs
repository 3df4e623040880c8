//! How much memory a server may use, for settings that are a percentage of it.
use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroU32;
use std::path::Path;

/// `shared_buffers: 25%` becomes a quarter of the memory; other settings stay.
pub(crate) fn resolve_percentages(
    settings: &BTreeMap<String, String>,
    servers: NonZeroU32,
) -> BTreeMap<String, String> {
    let memory = available_kilobytes().map(|it| it / u64::from(servers.get()));
    let resolve = |(name, value): (&String, &String)| {
        let share = memory.and_then(|it| share(name, value, it));
        (name.clone(), share.unwrap_or_else(|| value.clone()))
    };
    settings.iter().map(resolve).collect()
}

fn share(name: &str, value: &str, kilobytes: u64) -> Option<String> {
    let percent: u64 = value.strip_suffix('%')?.trim().parse().ok()?;
    let sizes = ["shared_buffers", "effective_cache_size"];
    sizes.contains(&name).then(|| format!("{}kB", (kilobytes * percent / 100).max(1024)))
}

/// The container's limit, or the machine's memory where that is less or there is no limit.
pub(crate) fn available_kilobytes() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|it| total_of(&it));
    let limit = limit_of(Path::new("/sys/fs/cgroup"));
    machine.into_iter().chain(limit).min()
}

fn total_of(meminfo: &str) -> Option<u64> {
    let total = meminfo.lines().find_map(|it| it.strip_prefix("MemTotal:"))?;
    total.split_whitespace().next()?.parse().ok()
}

/// A container sees its own cgroup at the root: of version 2, or 1.
fn limit_of(cgroup: &Path) -> Option<u64> {
    let files = ["memory.max", "memory/memory.limit_in_bytes"];
    let bytes: u64 =
        files.iter().find_map(|it| fs::read_to_string(cgroup.join(it)).ok()?.trim().parse().ok())?;
    Some(bytes / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sizes_are_shares_of_memory() {
        assert_eq!(share("shared_buffers", "25%", 1 << 20).as_deref(), Some("262144kB"));
        assert_eq!(share("shared_buffers", "1%", 1 << 10).as_deref(), Some("1024kB"));
        assert_eq!(share("shared_buffers", "128MB", 1 << 20), None);
        assert_eq!(share("log_line_prefix", "25%", 1 << 20), None);
    }

    #[test]
    fn reads_what_the_kernel_prints() {
        assert_eq!(total_of("MemFree: 1 kB\nMemTotal:       16306148 kB\n"), Some(16_306_148));
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(limit_of(dir.path()), None);
        fs::write(dir.path().join("memory.max"), "max\n").unwrap();
        assert_eq!(limit_of(dir.path()), None);
        fs::write(dir.path().join("memory.max"), "2147483648\n").unwrap();
        assert_eq!(limit_of(dir.path()), Some(2 << 20));
    }
}
