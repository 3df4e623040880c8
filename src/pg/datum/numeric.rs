//! `numeric`: digits of base 10000, as PostgreSQL stores and sends them.

use super::integer::trim_blanks;

/// A `numeric` that is a number, normalised: neither the first nor the last digit is zero.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Numeric {
    /// The value is the sum of `digits[i] * 10000^(weight - i)`, with a sign. Zero has no digits.
    Finite { negative: bool, weight: i32, digits: Vec<i16> },
    /// NaN and the infinities.
    Special,
}

/// Numbers of more digits than this on either side of the point are left to PostgreSQL.
const MAX_DIGITS: usize = 4000;

impl Numeric {
    /// Reads decimal digits with point and exponent. Hexadecimal and underscores, which servers read from 16 on,
    /// are `None`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = trim_blanks(text);
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        // A NaN may not have a sign.
        if text.eq_ignore_ascii_case("nan")
            || ["infinity", "inf"].iter().any(|it| it.eq_ignore_ascii_case(unsigned))
        {
            return Some(Self::Special);
        }
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, small_exponent(exponent)?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let decimals: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        if decimals.is_empty()
            || decimals.len() > MAX_DIGITS
            || !decimals.iter().all(|it| it.is_ascii_digit())
        {
            return None;
        }
        Some(Self::from_decimals(negative, &decimals, whole.len() as i32 + exponent))
    }

    /// Reads what `numeric_send` writes. `None` also for digits that `numeric_recv` would cut off.
    pub fn from_binary(bytes: &[u8]) -> Option<Self> {
        let (words, []) = bytes.as_chunks::<2>() else { return None };
        let words: Vec<u16> = words.iter().map(|it| u16::from_be_bytes(*it)).collect();
        let (&[count, weight, sign, scale], digits) = words.split_first_chunk()?;
        let (weight, scale) = (i32::from(weight as i16), i32::from(scale));
        if usize::from(count) != digits.len() || digits.iter().any(|it| *it > 9999) {
            return None;
        }
        let negative = match sign {
            0x0000 => false,
            0x4000 => true,
            0xC000 | 0xD000 | 0xF000 => return Some(Self::Special),
            _ => return None,
        };
        let excess = (digits.len() as i32 - weight - 1) * 4 - scale;
        if let Some(last) = digits.last()
            && (excess >= 4 || 0 < excess && last % 10_u16.pow(excess as u32) != 0)
        {
            return None;
        }
        Some(Self::normalised(negative, weight, digits.iter().map(|it| *it as i16).collect()))
    }

    /// From decimal digits with the point before the `point`th of them, which may lie outside.
    fn from_decimals(negative: bool, decimals: &[u8], point: i32) -> Self {
        // Zeros in front, so that the point falls between two digits of base 10000.
        let padding = (-point).rem_euclid(4) as usize;
        let weight = (point + padding as i32) / 4 - 1;
        let mut padded = vec![b'0'; padding];
        padded.extend_from_slice(decimals);
        let digits = padded.chunks(4).map(|chunk| {
            let digit = chunk.iter().fold(0, |digit, it| digit * 10 + i16::from(*it - b'0'));
            digit * 10_i16.pow(4 - chunk.len() as u32)
        });
        Self::normalised(negative, weight, digits.collect())
    }

    fn normalised(negative: bool, weight: i32, mut digits: Vec<i16>) -> Self {
        let zeros = digits.iter().take_while(|it| **it == 0).count();
        digits.drain(..zeros);
        while digits.last() == Some(&0) {
            digits.pop();
        }
        match digits.is_empty() {
            true => Self::Finite { negative: false, weight: 0, digits },
            false => Self::Finite { negative, weight: weight - zeros as i32, digits },
        }
    }
}

/// An exponent that cannot make a number overflow or lose digits.
fn small_exponent(text: &str) -> Option<i32> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || digits.len() > 4 || !digits.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|it: &i32| it.unsigned_abs() <= MAX_DIGITS as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finite(negative: bool, weight: i32, digits: &[i16]) -> Option<Numeric> {
        Some(Numeric::Finite { negative, weight, digits: digits.into() })
    }

    #[test]
    fn reads_text() {
        for (text, value) in [
            ("0", finite(false, 0, &[])),
            ("-0.000", finite(false, 0, &[])),
            ("1", finite(false, 0, &[1])),
            ("-12345.6789", finite(true, 1, &[1, 2345, 6789])),
            ("10000", finite(false, 1, &[1])),
            ("0.0001", finite(false, -1, &[1])),
            (".5", finite(false, -1, &[5000])),
            ("5.", finite(false, 0, &[5])),
            ("1e4", finite(false, 1, &[1])),
            ("1.5E-5", finite(false, -2, &[1500])),
            (" +007.50 ", finite(false, 0, &[7, 5000])),
            ("NaN", Some(Numeric::Special)),
            ("-inf", Some(Numeric::Special)),
            ("-nan", None),
            ("", None),
            (".", None),
            ("1e", None),
            ("1e+", None),
            ("1..2", None),
            ("0x10", None),
            ("1_000", None),
            ("1e99999", None),
        ] {
            assert_eq!(Numeric::parse(text), value, "{text:?}");
        }
    }

    #[test]
    fn reads_binary() {
        let binary = |words: &[u16]| {
            let bytes: Vec<u8> = words.iter().flat_map(|it| it.to_be_bytes()).collect();
            Numeric::from_binary(&bytes)
        };
        assert_eq!(binary(&[2, 0, 0x4000, 4, 12, 3400]), finite(true, 0, &[12, 3400]));
        assert_eq!(binary(&[2, 0, 0, 2, 12, 3400]), finite(false, 0, &[12, 3400]));
        assert_eq!(binary(&[2, 0, 0, 1, 12, 3400]), None, "numeric_recv would cut it");
        assert_eq!(binary(&[2, 0, 0, 0, 12, 3400]), None);
        assert_eq!(binary(&[1, 0, 0, 0, 10000]), None);
        assert_eq!(binary(&[0, 0, 0, 0]), finite(false, 0, &[]));
        assert_eq!(binary(&[0, 0, 0xC000, 0]), Some(Numeric::Special));
        assert_eq!(binary(&[2, 0, 0, 0, 1]), None);
        assert_eq!(binary(&[]), None);
    }
}
