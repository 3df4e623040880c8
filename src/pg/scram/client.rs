//! The client's side, for the tests of the server's.

use std::num::NonZeroU32;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::digest::{SHA256, digest};
use ring::pbkdf2;

use super::Secret;
use super::exchange::sign;

pub(crate) fn secret_of(password: &str, salt: &[u8], iterations: u32) -> Secret {
    let salted = salted(password, salt, iterations);
    Secret {
        iterations,
        salt: salt.into(),
        stored_key: digest(&SHA256, &sign(&salted, "Client Key")).as_ref().try_into().expect("32 bytes"),
        server_key: sign(&salted, "Server Key"),
        doomed: false,
    }
}

/// The last message of a client that said `header` and `bare` first and presents `binding`.
pub(crate) fn client_final(
    password: &str,
    header: &str,
    bare: &str,
    binding: &[u8],
    server_first: &str,
) -> String {
    let mut parts = server_first.split(',').map(|it| &it[2..]);
    let (nonce, salt, iterations) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let salted = salted(password, &BASE64_STANDARD.decode(salt).unwrap(), iterations.parse().unwrap());
    let header = BASE64_STANDARD.encode([header.as_bytes(), binding].concat());
    let without_proof = format!("c={header},r={nonce}");
    let client_key = sign(&salted, "Client Key");
    let signature =
        sign(digest(&SHA256, &client_key).as_ref(), &format!("{bare},{server_first},{without_proof}"));
    let proof: Vec<u8> = client_key.iter().zip(signature).map(|(key, signature)| key ^ signature).collect();
    format!("{without_proof},p={}", BASE64_STANDARD.encode(proof))
}

fn salted(password: &str, salt: &[u8], iterations: u32) -> [u8; 32] {
    let mut salted = [0; 32];
    let iterations = NonZeroU32::new(iterations).unwrap();
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, password.as_bytes(), &mut salted);
    salted
}
