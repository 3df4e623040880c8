//! Leader election: who may act. A machine without IO or clock; [`crate::leader`] drives it.
//!
//! The record is a Lease of Kubernetes, and every write of it is a compare-and-swap on its resourceVersion. A lease
//! held by another is over when it has not changed for its whole duration *as measured here*, on a clock that never
//! goes back: the times in the record are for people. A holder counts its own lease from before it sent the renewal
//! that succeeded, and lets go earlier than anyone else may take it, so that two never act at once, however late
//! answers come. What is left is a process that is paused between its last look at the clock and the arrival of a
//! request that it has sent: every write is idempotent and most carry a resourceVersion of their own.
use std::time::Duration;

/// The lease as read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Record {
    /// Empty: released.
    pub(crate) holder: String,
    pub(crate) duration: Duration,
    pub(crate) transitions: i32,
    pub(crate) version: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Election {
    identity: String,
    duration: Duration,
    /// The newest version that was seen, and since when it is known.
    seen: Option<(Record, Duration)>,
    /// Until when this one may act.
    leading_until: Option<Duration>,
}

/// What happened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Event {
    /// `None`: there is no such object.
    Read(Option<Record>),
    /// The write that was sent at `sent` has succeeded.
    Written { record: Record, sent: Duration },
    /// Someone else was faster.
    Conflict,
    /// Nobody knows whether it was done.
    Failed,
    /// It is time.
    Tick,
}

/// What to do next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Action {
    Read,
    Create(Claim),
    /// Only if the object still has this version.
    Replace(Claim, String),
    Wait(Duration),
}

/// What to write.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Claim {
    pub(crate) holder: String,
    pub(crate) duration: Duration,
    pub(crate) transitions: i32,
}

impl Election {
    /// `identity` is that of one process, never used again: a process that starts anew must not take itself for the
    /// one that was.
    pub(crate) fn new(identity: String, duration: Duration) -> Self {
        Self { identity, duration, seen: None, leading_until: None }
    }

    pub(crate) fn leads(&self, now: Duration) -> bool {
        self.leading_until.is_some_and(|it| now < it)
    }

    pub(crate) fn leading_until(&self) -> Option<Duration> {
        self.leading_until
    }

    pub(crate) fn handle(&mut self, event: Event, now: Duration) -> Action {
        match event {
            Event::Read(None) => {
                self.seen = None;
                Action::Create(self.claim(0))
            }
            Event::Read(Some(record)) => self.seen(record, now),
            Event::Written { record, sent } => {
                self.leading_until = Some(sent + self.duration * 2 / 3);
                self.seen = Some((record, now));
                Action::Wait(self.retry())
            }
            Event::Conflict => {
                // Whoever wrote it is the holder now, unless it was a write of ours whose answer was lost.
                Action::Read
            }
            Event::Failed => Action::Wait(self.retry()),
            Event::Tick => match &self.seen {
                Some((record, _)) if record.holder == self.identity && self.leads(now) => {
                    Action::Replace(self.claim(record.transitions), record.version.clone())
                }
                _ => Action::Read,
            },
        }
    }

    fn seen(&mut self, record: Record, now: Duration) -> Action {
        let since = match &self.seen {
            Some((known, since)) if known.version == record.version => *since,
            _ => now,
        };
        self.seen = Some((record.clone(), since));
        if record.holder == self.identity {
            return Action::Replace(self.claim(record.transitions), record.version);
        }
        self.leading_until = None;
        if record.holder.is_empty() || since + record.duration <= now {
            return Action::Replace(self.claim(record.transitions + 1), record.version);
        }
        Action::Wait(self.retry().min(since + record.duration - now))
    }

    /// The last write: somebody else may begin at once.
    pub(crate) fn release(&mut self, now: Duration) -> Option<Action> {
        let leads = self.leads(now);
        self.leading_until = None;
        let (record, _) = self.seen.as_ref().filter(|(record, _)| leads && record.holder == self.identity)?;
        let claim = Claim { holder: String::new(), ..self.claim(record.transitions) };
        Some(Action::Replace(claim, record.version.clone()))
    }

    fn claim(&self, transitions: i32) -> Claim {
        Claim { holder: self.identity.clone(), duration: self.duration, transitions }
    }

    /// Four tries before the holder has to let go.
    fn retry(&self) -> Duration {
        self.duration / 6
    }
}

#[cfg(test)]
mod tests;
