//! Programs of Kubernetes that tests need, where there are any.
use std::path::PathBuf;

/// A directory with all of these. `None` is said aloud; it is an error where HOWDAH_REQUIRE_API_SERVER is set.
pub(crate) fn directory_with(programs: &[&str]) -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let candidates = [
        std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from),
        std::env::var_os("HOWDAH_E2E_DIR").map(|it| PathBuf::from(it).join("bin")),
        cache.map(|it| it.join("howdah-e2e/bin")),
    ];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let candidates = candidates.into_iter().flatten().chain(std::env::split_paths(&path));
    let found = candidates.into_iter().find(|it| programs.iter().all(|name| it.join(name).is_file()));
    if found.is_none() {
        let message = format!("{} not found: make e2e builds them", programs.join(" and "));
        assert!(std::env::var_os("HOWDAH_REQUIRE_API_SERVER").is_none(), "{message}");
        eprintln!("SKIPPED: {message}");
    }
    found
}
