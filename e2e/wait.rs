//! Waiting for conditions. Nothing here, and no test, waits for time to pass.
use std::fmt::Debug;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use kube::runtime::wait::await_condition;
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout_at};

/// Between two looks at what cannot be watched.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Watches an object until the condition holds, and gives the object. `None` stands for one that does not exist.
pub(crate) async fn until<K>(
    api: &Api<K>,
    name: &str,
    what: &str,
    deadline: Duration,
    condition: impl Fn(Option<&K>) -> bool,
) -> Result<Option<K>>
where
    K: Clone + Debug + Send + DeserializeOwned + Serialize + Resource + 'static,
{
    let end = Instant::now() + deadline * patience();
    while let Ok(watched) =
        timeout_at(end, await_condition(api.clone(), name, |it: Option<&K>| condition(it))).await
    {
        if let Ok(found) = watched {
            return Ok(found);
        }
        // The API may be away for a while: some tests see to that.
        sleep(LOOK_AGAIN).await;
    }
    let last = match api.get_opt(name).await {
        Ok(Some(object)) => {
            serde_json::to_value(object).map(|it| it["status"].to_string()).unwrap_or_default()
        }
        Ok(None) => "it does not exist".to_owned(),
        Err(error) => error.to_string(),
    };
    bail!("not after {deadline:?}: {name} {what}; its status: {last}")
}

/// Tries until it succeeds; at the deadline the last error is the answer.
pub(crate) async fn eventually<T>(
    what: &str,
    deadline: Duration,
    mut attempt: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let end = Instant::now() + deadline * patience();
    let mut last = anyhow!("the first attempt never ended");
    while let Ok(result) = timeout_at(end, attempt()).await {
        match result {
            Ok(value) => return Ok(value),
            Err(error) => last = error,
        }
        if Instant::now() >= end {
            break;
        }
        sleep(LOOK_AGAIN).await;
    }
    Err(last.context(format!("not after {deadline:?}: {what}")))
}

/// How many times longer than on an idle machine everything may take: HOWDAH_E2E_PATIENCE.
pub(crate) fn patience() -> u32 {
    std::env::var("HOWDAH_E2E_PATIENCE").ok().and_then(|it| it.parse().ok()).unwrap_or(1).max(1)
}

pub(crate) const fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}
