//! `tls-server-end-point` (RFC 5929): the hash of the server's certificate.

use crate::der::element;
use ring::digest::{Algorithm, SHA256, SHA384, SHA512, digest};

/// The binding data of a certificate in DER. `None` for one whose signature names no hash (Ed25519, RSA-PSS):
/// then channel binding is not offered.
pub fn server_end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let algorithm = hash_of_signature(certificate)?;
    Some(digest(algorithm, certificate).as_ref().to_vec())
}

/// The hash that the certificate was signed with, where MD5 and SHA-1 become SHA-256 as the RFC says.
fn hash_of_signature(certificate: &[u8]) -> Option<&'static Algorithm> {
    // Certificate ::= SEQUENCE { tbsCertificate SEQUENCE, signatureAlgorithm SEQUENCE { OID, … }, … }
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (_, after_tbs) = element(certificate, SEQUENCE)?;
    let (algorithm, _) = element(after_tbs, SEQUENCE)?;
    let (oid, _) = element(algorithm, OBJECT_IDENTIFIER)?;
    let (family, number) = oid.split_last().map(|(number, family)| (family, *number))?;
    match (family, number) {
        (RSA, 4 | 5 | 11) | (ECDSA_SHA2, 2) => Some(&SHA256),
        (RSA, 12) | (ECDSA_SHA2, 3) => Some(&SHA384),
        (RSA, 13) | (ECDSA_SHA2, 4) => Some(&SHA512),
        // ecdsa-with-SHA1 is one shorter than its SHA-2 kin.
        (ECDSA, 1) => Some(&SHA256),
        _ => None,
    }
}

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
/// 1.2.840.113549.1.1 (PKCS #1).
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
/// 1.2.840.10045.4 (ANSI X9.62 signatures).
const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04];
/// 1.2.840.10045.4.3.
const ECDSA_SHA2: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];
