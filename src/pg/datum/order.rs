//! The order of values, exactly as the type's B-tree has it, for merging sorted rows without PostgreSQL.

use crate::TypeOid;
use crate::datum::{Date, Timestamp, parse_bool, parse_integer, parse_uuid};
use crate::wire::Format;

/// Whether [`ordinal`] reads every value of this type (for date and time as text: under `DateStyle` ISO).
pub fn is_ordered_here(type_oid: TypeOid) -> bool {
    matches!(
        type_oid,
        TypeOid::BOOL
            | TypeOid::INT2
            | TypeOid::INT4
            | TypeOid::INT8
            | TypeOid::OID
            | TypeOid::DATE
            | TypeOid::TIMESTAMP
            | TypeOid::TIMESTAMPTZ
            | TypeOid::UUID
    )
}

/// A number that orders values of one type as PostgreSQL does, and is equal only for equal ones. `None` for
/// another type, or for bytes that a server does not send for this one.
pub fn ordinal(type_oid: TypeOid, format: Format, value: &[u8]) -> Option<i128> {
    match format {
        Format::Text => text_ordinal(type_oid, str::from_utf8(value).ok()?),
        Format::Binary => binary_ordinal(type_oid, value),
    }
}

fn text_ordinal(type_oid: TypeOid, text: &str) -> Option<i128> {
    match type_oid {
        TypeOid::BOOL => parse_bool(text).map(i128::from),
        TypeOid::INT2 | TypeOid::INT4 | TypeOid::INT8 | TypeOid::OID => parse_integer(text).map(i128::from),
        TypeOid::DATE => Date::parse(text).map(|it| it.0.into()),
        TypeOid::TIMESTAMP => Timestamp::parse(text).map(|it| it.0.into()),
        TypeOid::TIMESTAMPTZ => Timestamp::parse_with_zone(text).map(|it| it.0.into()),
        TypeOid::UUID => parse_uuid(text).map(uuid_ordinal),
        _ => None,
    }
}

fn binary_ordinal(type_oid: TypeOid, value: &[u8]) -> Option<i128> {
    match (type_oid, value.len()) {
        (TypeOid::BOOL, 1) => Some(i128::from(value[0] != 0)),
        (TypeOid::INT2, 2) => value.try_into().ok().map(|it| i16::from_be_bytes(it).into()),
        (TypeOid::INT4 | TypeOid::DATE, 4) => value.try_into().ok().map(|it| i32::from_be_bytes(it).into()),
        (TypeOid::OID, 4) => value.try_into().ok().map(|it| u32::from_be_bytes(it).into()),
        (TypeOid::INT8 | TypeOid::TIMESTAMP | TypeOid::TIMESTAMPTZ, 8) => {
            value.try_into().ok().map(|it| i64::from_be_bytes(it).into())
        }
        (TypeOid::UUID, 16) => value.try_into().ok().map(uuid_ordinal),
        _ => None,
    }
}

/// Bytes compare as unsigned; turning the highest bit over makes the signed order the same.
fn uuid_ordinal(uuid: [u8; 16]) -> i128 {
    (u128::from_be_bytes(uuid) ^ 1 << 127) as i128
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(type_oid: TypeOid, ascending: &[&str]) {
        let ordinals: Vec<_> = ascending
            .iter()
            .map(|it| ordinal(type_oid, Format::Text, it.as_bytes()).unwrap_or_else(|| panic!("{it}")))
            .collect();
        assert!(ordinals.is_sorted_by(|a, b| a < b), "{ordinals:?}");
    }

    #[test]
    fn text_orders_as_postgres() {
        check(TypeOid::BOOL, &["f", "t"]);
        check(TypeOid::INT8, &["-9223372036854775808", "-1", "0", "10", "9223372036854775807"]);
        check(TypeOid::OID, &["0", "2147483648", "4294967295"]);
        let dates = ["-infinity", "0044-03-15 BC", "0001-01-01", "2024-02-29", "10000-01-01", "infinity"];
        check(TypeOid::DATE, &dates);
        check(
            TypeOid::TIMESTAMP,
            &["-infinity", "2024-01-01 00:00:00", "2024-01-01 00:00:00.000001", "infinity"],
        );
        check(
            TypeOid::TIMESTAMPTZ,
            &["2024-01-01 00:00:00+02", "2024-01-01 00:00:00+00", "2024-01-01 00:00:00-05:30"],
        );
        let uuids = [
            "00000000-0000-0000-0000-000000000000",
            "7fffffff-0000-0000-0000-000000000000",
            "80000000-0000-0000-0000-000000000000",
        ];
        check(TypeOid::UUID, &uuids);
    }

    #[test]
    fn binary_agrees_with_text() {
        let check = |type_oid, text: &str, binary: &[u8]| {
            let text = ordinal(type_oid, Format::Text, text.as_bytes());
            assert!(text.is_some() && text == ordinal(type_oid, Format::Binary, binary), "{text:?}");
        };
        check(TypeOid::INT2, "-2", &[0xff, 0xfe]);
        check(TypeOid::INT4, "-2", &[0xff, 0xff, 0xff, 0xfe]);
        check(TypeOid::OID, "4294967294", &[0xff, 0xff, 0xff, 0xfe]);
        check(TypeOid::DATE, "1999-12-30", &[0xff, 0xff, 0xff, 0xfe]);
        check(TypeOid::TIMESTAMP, "2000-01-01 00:00:00.000002", &[0, 0, 0, 0, 0, 0, 0, 2]);
        check(
            TypeOid::UUID,
            "ff000000-0000-0000-0000-000000000001",
            &[0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        );
        assert_eq!(ordinal(TypeOid::INT4, Format::Binary, &[0; 8]), None);
        assert_eq!(ordinal(TypeOid::TEXT, Format::Text, b"1"), None);
    }
}
