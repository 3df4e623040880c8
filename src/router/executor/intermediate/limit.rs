//! `citus.max_intermediate_result_size`.

use howdah_pg::SqlState;
use howdah_pg::wire::{ErrorFields, Field};

use crate::error::Error;

/// Where the setting was never given.
const DEFAULT: u64 = 1 << 30;

/// The largest size of an intermediate result that is stored, in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Limit(Option<u64>);

impl Limit {
    /// As `current_setting` tells it: PostgreSQL itself does not know what the value means. One that cannot be read is the default.
    pub(super) fn of(setting: Option<&str>) -> Self {
        setting.and_then(parse).unwrap_or(Self(Some(DEFAULT)))
    }

    pub(super) fn allows(self, size: u64) -> bool {
        self.0.is_none_or(|it| size <= it)
    }

    pub(super) fn exceeded(self) -> Error {
        let kilobytes = self.0.unwrap_or_default() >> 10;
        let message = "intermediate result is too large";
        ErrorFields::error(SqlState::CONFIGURATION_LIMIT_EXCEEDED, message)
            .with(Field::Detail, format!("citus.max_intermediate_result_size allows {kilobytes} kB."))
            .with(
                Field::Hint,
                "Set citus.max_intermediate_result_size to more, or to -1 for no limit; or select fewer rows.",
            )
            .into()
    }
}

/// A number of kilobytes, or one with a unit of PostgreSQL's; -1 is no limit.
fn parse(setting: &str) -> Option<Limit> {
    let setting = setting.trim();
    if setting == "-1" {
        return Some(Limit(None));
    }
    let digits = setting.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = setting.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let shift = match unit.trim() {
        "B" => 0,
        "" | "kB" => 10,
        "MB" => 20,
        "GB" => 30,
        "TB" => 40,
        _ => return None,
    };
    Some(Limit(Some(number.saturating_mul(1 << shift))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_is_in_kilobytes_or_has_a_unit() {
        let cases = [
            (None, Some(DEFAULT)),
            (Some("-1"), None),
            (Some("4"), Some(4096)),
            (Some("4MB"), Some(4 << 20)),
            (Some(" 2 GB "), Some(2 << 30)),
            (Some("much"), Some(DEFAULT)),
        ];
        for (setting, bytes) in cases {
            assert_eq!(Limit::of(setting), Limit(bytes), "{setting:?}");
        }
        assert!(Limit(None).allows(u64::MAX) && !Limit(Some(1)).allows(2));
    }
}
