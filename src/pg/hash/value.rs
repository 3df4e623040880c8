//! The default hash function of each type that is hashed here.

use super::bytes::{hash_bytes, hash_bytes_uint32};
use crate::TypeOid;
use crate::datum::{
    Date, Numeric, Time, Timestamp, parse_bool, parse_f32, parse_f64, parse_integer, parse_uuid,
};

/// The hash of a value in text format, read as the type's input function without type modifier reads it.
pub fn hash_text_value(type_oid: TypeOid, text: &str) -> Option<i32> {
    if text.contains('\0') {
        return None;
    }
    let hash = match type_oid {
        TypeOid::BOOL => hash_i32(parse_bool(text)?.into()),
        TypeOid::INT2 => hash_i32(i16::try_from(parse_integer(text)?).ok()?.into()),
        TypeOid::INT4 => hash_i32(i32::try_from(parse_integer(text)?).ok()?),
        TypeOid::INT8 => hash_i64(parse_integer(text)?),
        TypeOid::OID => hash_bytes_uint32(u32::try_from(parse_integer(text)?).ok()?),
        TypeOid::FLOAT4 => hash_f64(parse_f32(text)?.into()),
        TypeOid::FLOAT8 => hash_f64(parse_f64(text)?),
        TypeOid::NUMERIC => hash_numeric(&Numeric::parse(text)?),
        TypeOid::TEXT | TypeOid::VARCHAR => hash_bytes(text.as_bytes()),
        TypeOid::BPCHAR => hash_bpchar(text),
        TypeOid::NAME => hash_bytes(crate::ident::truncate_identifier(text).as_bytes()),
        TypeOid::CHAR => hash_char(match text.as_bytes() {
            [] => 0,
            [letter] => *letter,
            _ => return None,
        })?,
        TypeOid::BYTEA => hash_bytes(&parse_bytea(text)?),
        TypeOid::UUID => hash_bytes(&parse_uuid(text)?),
        TypeOid::DATE => hash_i32(Date::parse(text)?.0),
        TypeOid::TIME => hash_i64(Time::parse(text)?.0),
        TypeOid::TIMESTAMP => hash_i64(Timestamp::parse(text)?.0),
        TypeOid::TIMESTAMPTZ => hash_i64(Timestamp::parse_with_zone(text)?.0),
        _ => return None,
    };
    Some(hash as i32)
}

/// The hash of a value in binary format.
pub fn hash_binary_value(type_oid: TypeOid, value: &[u8]) -> Option<i32> {
    let hash = match type_oid {
        TypeOid::BOOL => hash_i32((u8::from_be_bytes(value.try_into().ok()?) != 0).into()),
        TypeOid::INT2 => hash_i32(i16::from_be_bytes(value.try_into().ok()?).into()),
        TypeOid::INT4 | TypeOid::DATE => hash_i32(i32::from_be_bytes(value.try_into().ok()?)),
        TypeOid::INT8 => hash_i64(i64::from_be_bytes(value.try_into().ok()?)),
        TypeOid::OID => hash_bytes_uint32(u32::from_be_bytes(value.try_into().ok()?)),
        TypeOid::FLOAT4 => hash_f64(f32::from_be_bytes(value.try_into().ok()?).into()),
        TypeOid::FLOAT8 => hash_f64(f64::from_be_bytes(value.try_into().ok()?)),
        TypeOid::NUMERIC => hash_numeric(&Numeric::from_binary(value)?),
        TypeOid::TEXT | TypeOid::VARCHAR | TypeOid::BPCHAR | TypeOid::NAME => {
            return hash_text_value(type_oid, str::from_utf8(value).ok()?);
        }
        TypeOid::CHAR => hash_char(u8::from_be_bytes(value.try_into().ok()?))?,
        TypeOid::BYTEA => hash_bytes(value),
        TypeOid::UUID => hash_bytes(&<[u8; 16]>::try_from(value).ok()?),
        TypeOid::TIME | TypeOid::TIMESTAMP | TypeOid::TIMESTAMPTZ => {
            hash_i64(i64::from_be_bytes(value.try_into().ok()?))
        }
        _ => return None,
    };
    Some(hash as i32)
}

/// The hash of a value as a column of this type and modifier would store it: `None` where the modifier could
/// change the value (`numeric(10,2)` rounds, `varchar(3)` drops blanks at the end).
pub fn hash_column_text(type_oid: TypeOid, typmod: i32, text: &str) -> Option<i32> {
    let kept = typmod < 0
        || match type_oid {
            TypeOid::VARCHAR => text.chars().count() as i64 <= i64::from(typmod) - VARHDRSZ,
            TypeOid::BPCHAR => {
                text.trim_end_matches(' ').chars().count() as i64 <= i64::from(typmod) - VARHDRSZ
            }
            TypeOid::NUMERIC => decimals_after_point(text)? <= numeric_scale(typmod),
            TypeOid::TIME | TypeOid::TIMESTAMP | TypeOid::TIMESTAMPTZ => fraction_digits(text) <= typmod,
            _ => true,
        };
    if kept { hash_text_value(type_oid, text) } else { None }
}

/// The header that a type modifier of `varchar` and its like counts in.
const VARHDRSZ: i64 = 4;

/// `numeric_typmod_scale`: eleven bits with a sign.
fn numeric_scale(typmod: i32) -> i32 {
    (((typmod - VARHDRSZ as i32) & 0x7ff) ^ 0x400) - 0x400
}

/// `None` for numbers with an exponent, whose scale is not to be seen at once.
fn decimals_after_point(text: &str) -> Option<i32> {
    if text.contains(['e', 'E']) {
        return None;
    }
    Some(text.trim_end().split_once('.').map_or(0, |it| it.1.len() as i32))
}

fn fraction_digits(text: &str) -> i32 {
    let fraction = text.split_once('.').map_or("", |it| it.1);
    fraction.bytes().take_while(u8::is_ascii_digit).count() as i32
}

fn hash_i32(value: i32) -> u32 {
    hash_bytes_uint32(value as u32)
}

/// `hashint8`: equal to the hash of the narrower integers wherever these hold the value.
fn hash_i64(value: i64) -> u32 {
    let (low, high) = (value as u32, (value >> 32) as u32);
    hash_bytes_uint32(low ^ if value >= 0 { high } else { !high })
}

/// `hashfloat8`; `hashfloat4` widens first. Both zeros are equal, and so are all NaNs.
fn hash_f64(value: f64) -> u32 {
    if value == 0.0 {
        return 0;
    }
    let bits = if value.is_nan() { 0x7ff8_0000_0000_0000 } else { value.to_bits() };
    hash_bytes(&bits.to_le_bytes())
}

/// `hash_numeric`: the digits without zeros at the ends, and the weight; neither scale nor sign.
fn hash_numeric(value: &Numeric) -> u32 {
    match value {
        Numeric::Special => 0,
        Numeric::Finite { digits, .. } if digits.is_empty() => u32::MAX,
        Numeric::Finite { weight, digits, .. } => {
            let bytes: Vec<u8> = digits.iter().flat_map(|it| it.to_le_bytes()).collect();
            hash_bytes(&bytes) ^ *weight as u32
        }
    }
}

fn hash_bpchar(text: &str) -> u32 {
    hash_bytes(text.trim_end_matches(' ').as_bytes())
}

/// `hashchar`. Past ASCII the sign of C's `char`, which depends on the machine, decides.
fn hash_char(letter: u8) -> Option<u32> {
    letter.is_ascii().then(|| hash_i32(letter.into()))
}

/// The hexadecimal form without blanks, and the escape form without escapes.
fn parse_bytea(text: &str) -> Option<Vec<u8>> {
    let Some(digits) = text.strip_prefix("\\x") else {
        return (!text.contains('\\')).then(|| text.as_bytes().to_vec());
    };
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else { return None };
    let digit = |it: u8| char::from(it).to_digit(16).map(|it| it as u8);
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modifiers_are_looked_at() {
        let is_known = |type_oid, typmod, text| hash_column_text(type_oid, typmod, text).is_some();
        assert!(is_known(TypeOid::VARCHAR, 4 + 3, "abc") && !is_known(TypeOid::VARCHAR, 4 + 3, "abc "));
        assert!(is_known(TypeOid::BPCHAR, 4 + 3, "abc  ") && !is_known(TypeOid::BPCHAR, 4 + 3, "abcd"));
        let numeric = (10 << 16 | 2) + 4;
        assert!(is_known(TypeOid::NUMERIC, numeric, "1.25") && !is_known(TypeOid::NUMERIC, numeric, "1.255"));
        assert!(!is_known(TypeOid::NUMERIC, numeric, "1e-5"));
        let thousands = (10 << 16 | (-3 & 0x7ff)) + 4;
        assert!(!is_known(TypeOid::NUMERIC, thousands, "1234"));
        assert!(is_known(TypeOid::TIMESTAMP, 0, "2024-01-01 00:00:00"));
        assert!(!is_known(TypeOid::TIMESTAMP, 0, "2024-01-01 00:00:00.5"));
        assert_eq!(hash_column_text(TypeOid::INT4, -1, "1"), Some(-1_905_060_026));
    }

    #[test]
    fn unknown_is_left_to_postgres() {
        for (type_oid, text) in [
            (TypeOid::INT2, "32768"),
            (TypeOid::INT4, "2147483648"),
            (TypeOid::OID, "-1"),
            (TypeOid::TEXT, "a\0b"),
            (TypeOid::BYTEA, "\\001"),
            (TypeOid::TIMESTAMPTZ, "2024-01-01 00:00:00"),
            (TypeOid::JSONB, "1"),
            (TypeOid::INTERVAL, "1 day"),
        ] {
            assert_eq!(hash_text_value(type_oid, text), None, "{text}");
        }
        assert_eq!(hash_binary_value(TypeOid::INT4, &[0; 8]), None);
        assert_eq!(hash_binary_value(TypeOid::TEXT, b"\xff"), None);
    }
}
