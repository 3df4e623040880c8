//! UUIDs as text.

/// Reads 32 hexadecimal digits, bare or in the usual groups of 8-4-4-4-12, in braces or not. The other places for
/// hyphens that PostgreSQL takes are `None`.
pub fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let bare = text.strip_prefix('{').and_then(|it| it.strip_suffix('}')).unwrap_or(text);
    let digits: Vec<u8> = match bare.len() {
        32 => bare.bytes().collect(),
        36 => {
            let grouped =
                bare.bytes().enumerate().all(|(at, it)| (it == b'-') == matches!(at, 8 | 13 | 18 | 23));
            if !grouped {
                return None;
            }
            bare.bytes().filter(|it| *it != b'-').collect()
        }
        _ => return None,
    };
    let mut uuid = [0; 16];
    for (byte, pair) in uuid.iter_mut().zip(digits.as_chunks::<2>().0) {
        *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
    }
    Some(uuid)
}

pub(crate) fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|it| it as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_uuids() {
        let uuid = parse_uuid("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
        assert!(uuid.is_some_and(|it| it[..2] == [0xa0, 0xee] && it[15] == 0x11));
        assert_eq!(parse_uuid("{A0EEBC999C0B4EF8BB6D6BB9BD380A11}"), uuid);
        for other in ["", "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g"] {
            assert_eq!(parse_uuid(other), None);
        }
    }
}
