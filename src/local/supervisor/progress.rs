//! What the supervisor tells its front, one JSON object a line.
use std::io::Write as _;

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", tag = "progress")]
pub enum Progress {
    /// Something the user should know.
    Note {
        text: String,
    },
    Step {
        text: String,
    },
    /// The group answers queries.
    Ready {
        uri: String,
    },
    Failed {
        message: String,
    },
}

/// The front may have left: then there is nobody to tell.
pub(crate) fn report(progress: &Progress) {
    let mut line = serde_json::to_vec(progress).expect("progress is plain data");
    line.push(b'\n');
    let mut out = std::io::stdout();
    let _ = out.write_all(&line).and_then(|()| out.flush());
}
