//! What is read of an X.509 certificate (RFC 5280): just what a person or a decision asks for.

use howdah_pg::der::{element, skip};

/// The signature is not looked at: that is the business of the TLS handshake.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Certificate {
    /// In hexadecimal.
    pub serial: String,
    /// Seconds since 1970.
    pub not_after: i64,
    /// The holder's last common name.
    pub common_name: Option<String>,
}

impl Certificate {
    /// `None` if this is no certificate in DER.
    pub fn parse(der: &[u8]) -> Option<Self> {
        // Certificate ::= SEQUENCE { tbsCertificate SEQUENCE { version [0], serialNumber, signature, issuer, validity, subject, …
        let (certificate, _) = element(der, SEQUENCE)?;
        let (tbs, _) = element(certificate, SEQUENCE)?;
        let rest = element(tbs, VERSION).map_or(tbs, |it| it.1);
        let (serial, rest) = element(rest, INTEGER)?;
        let rest = skip(skip(rest)?)?;
        let (validity, rest) = element(rest, SEQUENCE)?;
        let not_after = time(skip(validity)?)?;
        let (subject, _) = element(rest, SEQUENCE)?;
        let serial = serial.iter().map(|it| format!("{it:02x}")).collect();
        Some(Self { serial, not_after, common_name: common_name(subject) })
    }
}

/// Name ::= SEQUENCE OF SET OF SEQUENCE { type OBJECT IDENTIFIER, value }
fn common_name(mut subject: &[u8]) -> Option<String> {
    let mut found = None;
    while let Some((mut set, rest)) = element(subject, SET) {
        while let Some((attribute, others)) = element(set, SEQUENCE) {
            let (kind, value) = element(attribute, OBJECT_IDENTIFIER)?;
            if kind == COMMON_NAME {
                let text = STRINGS.iter().find_map(|it| element(value, *it))?.0;
                found = Some(std::str::from_utf8(text).ok()?.to_owned());
            }
            set = others;
        }
        subject = rest;
    }
    found
}

/// UTCTime `YYMMDDHHMMSSZ` until 2049, GeneralizedTime `YYYYMMDDHHMMSSZ` from then on.
fn time(der: &[u8]) -> Option<i64> {
    let (century, text) = match (element(der, UTC_TIME), element(der, GENERALIZED_TIME)) {
        (Some((text, _)), _) => (None, text),
        (_, Some((text, _))) => {
            let (century, rest) = text.split_at_checked(2)?;
            (Some(number(century)?), rest)
        }
        _ => return None,
    };
    let field = |index: usize| number(text.get(2 * index..2 * index + 2)?);
    let year = field(0)?;
    let century = century.unwrap_or(if year < 50 { 20 } else { 19 });
    let days = days_before(100 * century + year, field(1)?, field(2)?);
    Some(((days * 24 + field(3)?) * 60 + field(4)?) * 60 + field(5)?)
}

fn number(digits: &[u8]) -> Option<i64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Days from 1970-01-01, in years that begin with March, so that the leap day is the last one.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const OBJECT_IDENTIFIER: u8 = 0x06;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// UTF8String, PrintableString, IA5String.
const STRINGS: [u8; 3] = [0x0c, 0x13, 0x16];
/// 2.5.4.3.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SerialNumber, date_time_ymd};

    use super::*;

    fn made(year: i32) -> Certificate {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::OrganizationName, "Ärzte");
        params.distinguished_name.push(DnType::CommonName, "howdah-router");
        params.serial_number = Some(SerialNumber::from_slice(&[0x12, 0xab]));
        params.not_after = date_time_ymd(year, 2, 28);
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        Certificate::parse(certificate.der()).unwrap()
    }

    #[test]
    fn says_whose_it_is_and_until_when() {
        let certificate = made(2030);
        assert_eq!(certificate.common_name.as_deref(), Some("howdah-router"));
        assert_eq!(certificate.serial, "12ab");
        assert_eq!(certificate.not_after, 1_898_467_200);
        assert_eq!(made(2072).not_after, 3_223_843_200);
    }

    #[test]
    fn what_is_none_is_refused() {
        assert_eq!(Certificate::parse(b""), None);
        assert_eq!(Certificate::parse(b"\x30\x03\x30\x01\x00"), None);
    }
}
