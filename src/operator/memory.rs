//! What a process remembers of a group from one turn to the next. Losing it costs work that is done again, nothing
//! else: all of it is checked against the world.
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use howdah_group::NodeName;

use crate::certificates::OperatorCertificate;
use crate::problem::Problem;

#[derive(Default)]
pub(crate) struct Memory {
    /// Which pod (by uid) of a node was set up by this process.
    pub(crate) set_up: BTreeMap<NodeName, String>,
    /// The password that the administrator's role is known to have.
    pub(crate) password: Option<String>,
    /// What was applied, and how it looked then: by kind and name, (what we said, stamp).
    pub(crate) applied: HashMap<(String, String), (String, String)>,
    pub(crate) certificate: Option<OperatorCertificate>,
    /// What went wrong in the last turn's actions; shown until a turn goes well.
    pub(crate) failed: Vec<Problem>,
}

/// Of all groups, by uid.
#[derive(Clone, Default)]
pub(crate) struct Memories(Arc<Mutex<HashMap<String, Arc<tokio::sync::Mutex<Memory>>>>>);

impl Memories {
    /// Held for a turn; no two turns of one group run at once anyway.
    pub(crate) async fn of(&self, uid: &str) -> tokio::sync::OwnedMutexGuard<Memory> {
        let memory = {
            let mut all = self.0.lock().expect("nobody panics while holding it");
            all.entry(uid.to_owned()).or_default().clone()
        };
        memory.lock_owned().await
    }

    pub(crate) fn forget(&self, uid: &str) {
        self.0.lock().expect("nobody panics while holding it").remove(uid);
    }

    /// A new leader must not rely on what was true in an earlier reign.
    pub(crate) fn clear(&self) {
        self.0.lock().expect("nobody panics while holding it").clear();
    }
}
