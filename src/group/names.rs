//! Names of nodes and members, as people and files know them.
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A node: the coordinator or one worker.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum NodeName {
    Coordinator,
    Worker(u32),
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Coordinator => write!(f, "coordinator"),
            Self::Worker(index) => write!(f, "w{index}"),
        }
    }
}

impl FromStr for NodeName {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        if text == "coordinator" {
            return Ok(Self::Coordinator);
        }
        let index = text.strip_prefix('w').and_then(|it| it.parse().ok());
        index.map(Self::Worker).ok_or_else(|| UnknownName(text.to_owned()))
    }
}

/// A process that the driver keeps running: the only member of a node, or the router.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum MemberName {
    Postgres(NodeName),
    Router,
}

impl fmt::Display for MemberName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postgres(node) => node.fmt(f),
            Self::Router => write!(f, "router"),
        }
    }
}

impl FromStr for MemberName {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        if text == "router" { Ok(Self::Router) } else { text.parse().map(Self::Postgres) }
    }
}

#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("there is no member \"{0}\"")]
pub struct UnknownName(String);

macro_rules! as_text {
    ($name:ty) => {
        impl TryFrom<String> for $name {
            type Error = UnknownName;

            fn try_from(text: String) -> Result<Self, UnknownName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.to_string()
            }
        }
    };
}

as_text!(NodeName);
as_text!(MemberName);
