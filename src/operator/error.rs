//! Why a turn could not be ended. What users can mend is not here: it is a [`crate::problem::Problem`].

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("kubernetes: {}", told(.0))]
    Kube(#[from] kube::Error),
    #[error("this process does not lead any more")]
    NotLeader,
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("TLS: {0}")]
    Tls(String),
    #[error("cannot serve {0}: {1}")]
    Listen(std::net::SocketAddr, std::io::Error),
}

/// What the API server said, without the copy of its answer that `Display` adds.
fn told(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

impl Error {
    /// Refused by the API server for what the object says: asking again does not help, changing the spec does.
    pub(crate) fn refusal(&self) -> Option<&str> {
        match self {
            Self::Kube(kube::Error::Api(status)) if matches!(status.code, 400 | 403 | 409 | 422) => {
                Some(&status.message)
            }
            _ => None,
        }
    }
}
