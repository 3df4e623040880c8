//! The settings of a session (`source = 'session'` in `pg_settings`, and the role), and how a server
//! connection that last served another session is brought to them.
//!
//! PostgreSQL is the authority on names and values: the map is only ever what a server reported.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// Every setting that differs from what a fresh connection of the role has. Cheap to clone and compare: equal ones are one
/// value in memory, whichever sessions and connections have them.
#[derive(Clone, Debug)]
pub(crate) struct Settings(Arc<Values>);

type Values = BTreeMap<String, String>;

static KNOWN: Mutex<Known> = Mutex::new(Known { all: BTreeMap::new(), sweep_at: 64 });

/// All that are in use, and some that no longer are.
struct Known {
    all: BTreeMap<Values, Weak<Values>>,
    sweep_at: usize,
}

impl Known {
    fn get_or_insert(&mut self, values: Values) -> Arc<Values> {
        if let Some(settings) = self.all.get(&values).and_then(Weak::upgrade) {
            return settings;
        }
        if self.sweep_at <= self.all.len() {
            self.all.retain(|_, it| it.strong_count() > 0);
            self.sweep_at = 64.max(self.all.len() * 2);
        }
        let settings = Arc::new(values.clone());
        self.all.insert(values, Arc::downgrade(&settings));
        settings
    }
}

impl Settings {
    pub(crate) fn new(values: Values) -> Self {
        Self(KNOWN.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(values))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The names of settings that users made up (`app.tenant`): PostgreSQL forgets their values, but never the names.
    pub(crate) fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str).filter(|it| it.contains('.') && !it.starts_with("citus."))
    }

    /// These settings, with another's where this has none.
    #[must_use]
    pub(crate) fn or(&self, other: &Self) -> Self {
        let mut values = Values::clone(&other.0);
        values.extend(self.0.iter().map(|(name, value)| (name.clone(), value.clone())));
        Self::new(values)
    }

    /// The same names with values that no setting has, so that every one differs.
    pub(crate) fn doubtful(&self) -> Self {
        Self::new(self.0.keys().map(|name| (name.clone(), "\0".to_owned())).collect())
    }

    /// Whether a transaction that began with the settings `applied` would be of another kind than one that begins with these.
    pub(crate) fn begins_otherwise(&self, applied: &Self) -> bool {
        ["default_transaction_isolation", "default_transaction_read_only", "default_transaction_deferrable"]
            .into_iter()
            .any(|name| self.get(name) != applied.get(name))
    }

    /// The commands that turn a connection with the settings `applied` into one with these.
    ///
    /// The role is left first and entered last: settings that the session's own role may change need not be
    /// allowed to the other.
    pub(crate) fn commands_from(&self, applied: &Self) -> Vec<String> {
        if self.is_same(applied) {
            return Vec::new();
        }
        let gone = applied.0.keys().filter(|name| !self.0.contains_key(*name));
        let resets = gone.map(|name| (!is_role(name), format!("RESET {}", setting_name(name))));
        let changed = self.0.iter().filter(|(name, value)| applied.0.get(*name) != Some(value));
        let changes = changed.map(|(name, value)| (!is_role(name), set_command(name, value)));
        let (mut commands, mut others): (Vec<_>, Vec<_>) = resets.partition(|it| !it.0);
        let (mut roles, mut settings): (Vec<_>, Vec<_>) = changes.partition(|it| !it.0);
        if !roles.is_empty() && applied.0.contains_key("role") {
            commands.push((false, "RESET ROLE".to_owned()));
        }
        commands.append(&mut others);
        commands.append(&mut settings);
        commands.append(&mut roles);
        commands.into_iter().map(|it| it.1).collect()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new(Values::new())
    }
}

fn is_role(name: &str) -> bool {
    matches!(name, "role" | "session_authorization")
}

fn set_command(name: &str, value: &str) -> String {
    match name {
        // A role cannot be named "none", so the bare word is safe.
        "role" if value == "none" => "RESET ROLE".to_owned(),
        "role" => format!("SET ROLE {}", quote_identifier(value)),
        "session_authorization" => format!("SET SESSION AUTHORIZATION {}", quote_identifier(value)),
        // SET would take a whole list for one name; set_config takes what pg_settings shows.
        _ => format!("SELECT pg_catalog.set_config({}, {}, false)", literal(name), literal(value)),
    }
}

/// `app.name` is written with its dot outside the quotes.
fn setting_name(name: &str) -> String {
    match name {
        "role" => "ROLE".to_owned(),
        "session_authorization" => "SESSION AUTHORIZATION".to_owned(),
        _ => name.split('.').map(quote_identifier).collect::<Vec<_>>().join("."),
    }
}

pub(crate) fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A string constant that is read the same whatever `standard_conforming_strings` says.
pub(crate) fn literal(text: &str) -> String {
    let prefix = if text.contains('\\') { " E'" } else { "'" };
    format!("{prefix}{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// A time as PostgreSQL reads it in a setting whose unit is the millisecond.
pub(crate) fn milliseconds(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(text.len());
    let number: f64 = text[..digits].parse().ok()?;
    let seconds = match text[digits..].trim() {
        "us" => 1e-6,
        "" | "ms" => 1e-3,
        "s" => 1.0,
        "min" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number * seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(values: &[(&str, &str)]) -> Settings {
        Settings::new(values.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect())
    }

    #[test]
    fn the_defaults_of_transactions_matter_before_one_begins() {
        let none = Settings::default();
        let read_only = settings(&[("default_transaction_read_only", "on"), ("jit", "off")]);
        assert!(read_only.begins_otherwise(&none) && none.begins_otherwise(&read_only));
        assert!(!settings(&[("jit", "off")]).begins_otherwise(&none));
    }

    #[test]
    fn equal_settings_are_one_value() {
        let first = settings(&[("jit", "off")]);
        assert!(first.is_same(&settings(&[("jit", "off")])) && !first.is_same(&settings(&[])));
    }

    #[test]
    fn only_the_difference_is_sent_and_the_role_comes_last() {
        let applied = settings(&[("role", "a"), ("work_mem", "64kB"), ("jit", "off")]);
        let wanted = settings(&[("role", "b"), ("jit", "off"), ("my.path", "it's")]);
        assert_eq!(
            wanted.commands_from(&applied),
            [
                "RESET ROLE",
                "RESET \"work_mem\"",
                "SELECT pg_catalog.set_config('my.path', 'it''s', false)",
                "SET ROLE \"b\""
            ]
        );
        assert!(wanted.commands_from(&wanted.clone()).is_empty());
    }

    #[test]
    fn times_are_read_as_postgres_reads_them() {
        for (text, expected) in [("10", 10), ("250ms", 250), ("1.5 s", 1500), ("2min", 120_000), ("0", 0)] {
            assert_eq!(milliseconds(text), Some(Duration::from_millis(expected)), "{text}");
        }
        assert_eq!(milliseconds("-1"), None);
        assert_eq!(milliseconds("soon"), None);
    }
}
