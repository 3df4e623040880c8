//! When and how the group may be disturbed.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rules;

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MaintenanceWindow {
    pub day_of_week: Weekday,
    /// HH:MM, in the time zone.
    #[schemars(length(max = 5), regex(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub start_time: String,
    #[schemars(range(min = 1, max = 1440))]
    pub duration_minutes: u32,
    /// A name of the IANA time zone database.
    #[serde(default = "utc")]
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-validations" = rules::time_zone()))]
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
    #[schemars(range(min = 1, max = 64))]
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
