//! ErrorResponse and NoticeResponse as a value: the fields as a server sent them, or as we fill them in.

use std::fmt;

/// Fields in their order on the wire: one byte that names the field, and its text.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Report {
    fields: Vec<(u8, String)>,
    /// Set for our own reports after which the session ends.
    fatal: bool,
}

/// Names of the fields that are read or changed here ("Error and Notice Message Fields").
pub mod field {
    pub const SEVERITY: u8 = b'S';
    pub const SEVERITY_UNLOCALIZED: u8 = b'V';
    pub const CODE: u8 = b'C';
    pub const MESSAGE: u8 = b'M';
    pub const DETAIL: u8 = b'D';
    pub const HINT: u8 = b'H';
    pub const POSITION: u8 = b'P';
    pub const WHERE: u8 = b'W';
    pub const SCHEMA: u8 = b's';
    pub const TABLE: u8 = b't';
    pub const CONSTRAINT: u8 = b'n';
}

impl Report {
    pub fn error(code: &str, message: &str) -> Self {
        Self::new("ERROR", code, message)
    }

    pub fn warning(code: &str, message: &str) -> Self {
        Self::new("WARNING", code, message)
    }

    pub fn new(severity: &str, code: &str, message: &str) -> Self {
        let fields = vec![
            (field::SEVERITY, severity.to_owned()),
            (field::SEVERITY_UNLOCALIZED, severity.to_owned()),
            (field::CODE, code.to_owned()),
            (field::MESSAGE, message.to_owned()),
        ];
        Self { fields, fatal: false }
    }

    /// The body of an ErrorResponse or NoticeResponse. Text that is not UTF-8 is kept as well as can be.
    pub fn parse(body: &[u8]) -> Self {
        let mut fields = Vec::new();
        let mut rest = body;
        while let [name, text @ ..] = rest {
            let Some(end) = memchr::memchr(0, text) else { break };
            fields.push((*name, String::from_utf8_lossy(&text[..end]).into_owned()));
            rest = &text[end + 1..];
        }
        Self { fields, fatal: false }
    }

    /// The body of the message: fields and their terminator.
    pub fn body(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(128);
        for (name, text) in &self.fields {
            body.push(*name);
            body.extend(text.bytes().filter(|it| *it != 0));
            body.push(0);
        }
        body.push(0);
        body
    }

    pub fn get(&self, name: u8) -> Option<&str> {
        self.fields.iter().find(|it| it.0 == name).map(|it| it.1.as_str())
    }

    pub fn set(&mut self, name: u8, text: impl Into<String>) {
        match self.fields.iter_mut().find(|it| it.0 == name) {
            Some(found) => found.1 = text.into(),
            None => self.fields.push((name, text.into())),
        }
    }

    pub fn remove(&mut self, name: u8) {
        self.fields.retain(|it| it.0 != name);
    }

    #[must_use]
    pub fn with_detail(self, text: Option<&str>) -> Self {
        self.with(field::DETAIL, text)
    }

    #[must_use]
    pub fn with_hint(self, text: Option<&str>) -> Self {
        self.with(field::HINT, text)
    }

    #[must_use]
    pub fn with(mut self, name: u8, text: Option<&str>) -> Self {
        if let Some(text) = text {
            self.set(name, text);
        }
        self
    }

    /// The same, as the last message of a session.
    #[must_use]
    pub fn fatal(mut self) -> Self {
        self.set(field::SEVERITY, "FATAL");
        self.set(field::SEVERITY_UNLOCALIZED, "FATAL");
        self.fatal = true;
        self
    }

    /// A server's own FATAL ends one of our connections, not the client's session.
    pub(crate) fn is_fatal_to_client(&self) -> bool {
        self.fatal
    }

    /// Whether the server that sent it closes the connection now.
    pub fn is_fatal(&self) -> bool {
        matches!(self.get(field::SEVERITY_UNLOCALIZED), Some("FATAL" | "PANIC"))
    }

    pub fn code(&self) -> &str {
        self.get(field::CODE).unwrap_or("XX000")
    }

    pub fn message(&self) -> &str {
        self.get(field::MESSAGE).unwrap_or_default()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message(), self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_the_wire() {
        let report = Report::error("22012", "division by zero").with_hint(Some("Divide by something else."));
        assert_eq!(Report::parse(&report.body()), report);
    }

    #[test]
    fn takes_a_truncated_body() {
        assert_eq!(Report::parse(b"C22012\0Mdivi").code(), "22012");
        assert_eq!(Report::parse(b"").code(), "XX000");
    }
}
