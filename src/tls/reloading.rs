//! A value that is made from files, and made anew when they are replaced.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{info, warn};

pub struct Reloading<T> {
    value: watch::Sender<Arc<T>>,
    files: Vec<PathBuf>,
    load: Box<dyn Fn() -> io::Result<T> + Send + Sync>,
}

/// A Secret's directory changes with one rename, and only now and then; looking is reading a few kilobytes.
const POLL: Duration = Duration::from_secs(2);

impl<T> Reloading<T> {
    pub fn new(
        files: impl IntoIterator<Item = PathBuf>,
        load: impl Fn() -> io::Result<T> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let value = watch::Sender::new(Arc::new(load()?));
        Ok(Self { value, files: files.into_iter().collect(), load: Box::new(load) })
    }

    /// For whatever begins now.
    pub fn current(&self) -> Arc<T> {
        self.value.borrow().clone()
    }

    /// Resolves its `changed()` whenever there is a new value.
    pub fn subscribe(&self) -> watch::Receiver<Arc<T>> {
        self.value.subscribe()
    }

    /// Follows the files until dropped. Files that cannot be used are tried again as long as they are there.
    pub async fn follow(&self) {
        let mut known = self.fingerprint();
        let mut refused = None;
        loop {
            tokio::time::sleep(POLL).await;
            let found = self.fingerprint();
            if found == known {
                continue;
            }
            match (self.load)() {
                Ok(value) => {
                    info!(files = ?self.files, "certificates replaced");
                    self.value.send_replace(Arc::new(value));
                    (known, refused) = (found, None);
                }
                Err(error) if refused != Some(found) => {
                    warn!(%error, "replaced certificates cannot be used, the old ones stay in force");
                    refused = Some(found);
                }
                Err(_) => {}
            }
        }
    }

    fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.files.iter().for_each(|it| std::fs::read(it).ok().hash(&mut hasher));
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn takes_what_is_good_and_keeps_the_old_otherwise() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tls.crt");
        std::fs::write(&path, "1").unwrap();
        let file = path.clone();
        let load = move || std::fs::read_to_string(&file)?.parse::<u32>().map_err(io::Error::other);
        let value = Arc::new(Reloading::new([path.clone()], load).unwrap());
        let follower = value.clone();
        let following = tokio::spawn(async move { follower.follow().await });
        tokio::time::sleep(POLL).await;
        std::fs::write(&path, "half a fi").unwrap();
        tokio::time::sleep(3 * POLL).await;
        assert_eq!(*value.current(), 1);
        std::fs::write(&path, "2").unwrap();
        tokio::time::sleep(2 * POLL).await;
        assert_eq!(*value.current(), 2);
        following.abort();
    }
}
