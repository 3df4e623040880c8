//! Floating-point numbers as text: decimal, correctly rounded, as C's `strtod` and `strtof` do.

use std::str::FromStr;

use super::integer::trim_blanks;

/// Reads a `double precision`; `None` as well for what is out of its range.
pub fn parse_f64(text: &str) -> Option<f64> {
    parse(text, |it: f64| it.is_finite(), |it| it == 0.0, f64::NAN, f64::INFINITY)
}

/// Reads a `real`; `None` as well for what is out of its range.
pub fn parse_f32(text: &str) -> Option<f32> {
    parse(text, |it: f32| it.is_finite(), |it| it == 0.0, f32::NAN, f32::INFINITY)
}

fn parse<F: FromStr + Copy + std::ops::Neg<Output = F>>(
    text: &str,
    is_finite: impl Fn(F) -> bool,
    is_zero: impl Fn(F) -> bool,
    nan: F,
    infinity: F,
) -> Option<F> {
    let text = trim_blanks(text);
    let is = |words: &[&str]| words.iter().any(|it| it.eq_ignore_ascii_case(text));
    if is(&["nan"]) {
        return Some(nan);
    }
    if is(&["infinity", "inf", "+infinity", "+inf"]) {
        return Some(infinity);
    }
    if is(&["-infinity", "-inf"]) {
        return Some(-infinity);
    }
    // Rust's own reader takes more words, and less than C does of hexadecimal.
    if !text.bytes().all(|it| matches!(it, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')) {
        return None;
    }
    let value = text.parse().ok().filter(|it| is_finite(*it))?;
    let mantissa = text.split(['e', 'E']).next().unwrap_or(text);
    let underflowed = is_zero(value) && mantissa.contains(|it| matches!(it, '1'..='9'));
    (!underflowed).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_floats_as_postgres() {
        assert_eq!(parse_f64(" 1.5e3 "), Some(1500.0));
        assert_eq!(parse_f64("-0").map(f64::to_bits), Some((-0.0_f64).to_bits()));
        assert_eq!(parse_f64(".5"), Some(0.5));
        assert_eq!(parse_f64("-Infinity"), Some(f64::NEG_INFINITY));
        assert!(parse_f64("NaN").is_some_and(f64::is_nan));
        for wrong in ["", "1e400", "1e-400", "0x1p3", "1_0", "nanx", "1 2", "infinite"] {
            assert_eq!(parse_f64(wrong), None, "{wrong}");
        }
        assert_eq!(parse_f32("1e39"), None);
        assert_eq!(parse_f32("1e-60"), None);
    }
}
