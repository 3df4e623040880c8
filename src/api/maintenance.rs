//! When and how the group may be disturbed.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MaintenanceWindow {
    pub day_of_week: Weekday,
    pub start_time: String,
    pub duration_minutes: u32,
    #[serde(default = "utc")]
    pub time_zone: String,
}

fn utc() -> String {
    "UTC".into()
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Weekday {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Update {
    pub primary_method: PrimaryUpdateMethod,
    pub strategy: UpdateStrategy,
    pub max_unavailable_nodes: u32,
}

impl Default for Update {
    fn default() -> Self {
        Self {
            primary_method: PrimaryUpdateMethod::Switchover,
            strategy: UpdateStrategy::Unsupervised,
            max_unavailable_nodes: 1,
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum PrimaryUpdateMethod {
    Switchover,
    Restart,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum UpdateStrategy {
    Unsupervised,
    Supervised,
}
