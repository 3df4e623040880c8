//! Fault points: places in the commit protocol at which a test can hold the router and kill something.
//!
//! `SET howdah.pause_at = 'after_prepares'` makes this session's next commits wait there, for superusers only.
//! The client is told by a notice when the point is reached. Nobody waits longer than [`PAUSE`].

use std::time::Duration;

use howdah_pg::wire::ErrorFields;

use crate::commit::Action;
use crate::session::Session;

const PAUSE: Duration = Duration::from_secs(5);

impl Session {
    /// Whether the servers are asked one after the other, so that a point lies between them.
    pub(crate) fn takes_turns(&self, actions: &[Action]) -> bool {
        self.pause_at().is_some() && actions.iter().any(|it| point(it, 1).is_some())
    }

    /// Waits if the session asked for it at this point. `index` is how many of its kind were done before.
    pub(crate) async fn pause_before(&mut self, actions: &[Action], index: usize) {
        let Some(wanted) = self.pause_at() else { return };
        let Some(point) = actions.first().and_then(|it| point(it, index)) else { return };
        if wanted != point {
            return;
        }
        tracing::warn!(point, "paused");
        self.client.push_notice(&ErrorFields::notice(format!("paused at {point}")));
        if self.client.flush().await.is_err() {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }

    fn pause_at(&self) -> Option<&str> {
        let is_superuser = *self.user == *self.router.config.superuser;
        self.settings.get("howdah.pause_at").filter(|it| is_superuser && !it.is_empty())
    }
}

fn point(action: &Action, index: usize) -> Option<&'static str> {
    match (action, index) {
        (Action::Record, _) => Some("before_record"),
        (Action::Prepare(_), 0) => Some("before_prepare"),
        (Action::Prepare(_), _) => Some("between_prepares"),
        (Action::Commit, _) => Some("after_prepares"),
        (Action::CommitPrepared(_), 0) => Some("after_decision"),
        (Action::CommitPrepared(_), _) => Some("between_commits"),
        _ => None,
    }
}
