use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use proptest::prelude::*;

use super::client::{client_final, secret_of};
use super::*;

const BARE: &str = "n=,r=rOprNGfwEbeRWgbNEkqO";

fn secret() -> Secret {
    secret_of("pencil", b"salt salt salt s", 10)
}

fn end_point() -> ChannelBinding {
    ChannelBinding::ServerEndPoint(vec![7; 32])
}

/// Runs an exchange to its end.
fn exchange(
    secret: Secret,
    offered: &ChannelBinding,
    (mechanism, header, presented): (&str, &str, &[u8]),
    password: &str,
) -> Result<Vec<u8>, ScramError> {
    let first = format!("{header}{BARE}");
    let (exchange, server_first) =
        Exchange::start(secret, offered, mechanism.as_bytes(), first.as_bytes(), [3; NONCE])?;
    let server_first = String::from_utf8(server_first).expect("ASCII");
    exchange.finish(client_final(password, header, BARE, presented, &server_first).as_bytes())
}

/// The exchange of RFC 7677, section 3. Its server nonce is text, so the exchange is put together by hand.
#[test]
fn rfc_7677() {
    let salt = BASE64_STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64");
    let secret = secret_of("pencil", &salt, 4096);
    let bare = "n=user,r=rOprNGfwEbeRWgbNEkqO";
    let server_first =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    let last = client_final("pencil", "n,,", bare, b"", server_first);
    assert_eq!(
        last,
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    );
    let exchange = Exchange::resume(secret, "biws", bare, server_first);
    let end = exchange.finish(last.as_bytes()).expect("the right password");
    assert_eq!(end, b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}

/// `CREATE ROLE … PASSWORD 'secret'` on a PostgreSQL 15.
#[test]
fn reads_what_postgres_stores() {
    let stored = "SCRAM-SHA-256$4096:rP+tKYzR+kP1a8J2mAh79w==$2UXDEwgIE2WY+W12fD90H4hNMpukZ+awkz/gAfOBhWM=:BK73Sp+NoU5Nr/rT9r5MgjCNeRcycIB3i84a0mLTZ34=";
    let secret = Secret::parse(stored).unwrap_or_else(|error| panic!("{error}"));
    assert!(secret == secret_of("secret", &secret.salt, 4096));
    let md5 = "md5d41d8cd98f00b204e9800998ecf8427e";
    assert_eq!(Secret::parse(md5).err(), Some(UnusableSecret::Md5));
    for wrong in
        ["", "secret", "SCRAM-SHA-256$0:YQ==$YQ==:YQ==", "SCRAM-SHA-256$4096:YQ==$YQ==:YQ==", &stored[..90]]
    {
        assert_eq!(Secret::parse(wrong).err(), Some(UnusableSecret::Malformed), "{wrong}");
    }
}

#[test]
fn only_the_right_password_passes() {
    let plain = (SCRAM_SHA_256, "n,,", b"".as_slice());
    assert!(exchange(secret(), &ChannelBinding::Unavailable, plain, "pencil").is_ok());
    assert!(exchange(secret(), &end_point(), plain, "pencil").is_ok());
    let wrong = exchange(secret(), &ChannelBinding::Unavailable, plain, "pen");
    assert_eq!(wrong, Err(ScramError::WrongPassword));
    let nobody = exchange(Secret::mock("nobody", b"nonce"), &ChannelBinding::Unavailable, plain, "pencil");
    assert_eq!(nobody, Err(ScramError::WrongPassword));
}

#[test]
fn a_mock_looks_the_same_each_time() {
    let [a, b, c] =
        [("a", b"n"), ("a", b"n"), ("b", b"n")].map(|(user, nonce)| Secret::mock(user, nonce).salt);
    assert!(a == b && a != c);
}

#[test]
fn channel_binding_is_checked() {
    let plus = SCRAM_SHA_256_PLUS;
    let header = "p=tls-server-end-point,,";
    let check = |offered: &ChannelBinding, client| exchange(secret(), offered, client, "pencil").err();
    assert_eq!(check(&end_point(), (plus, header, &[7; 32])), None);
    assert_eq!(check(&end_point(), (plus, header, &[8; 32])), Some(ScramError::BindingMismatch));
    assert_eq!(check(&end_point(), (plus, "p=tls-unique,,", &[7; 32])), Some(ScramError::UnsupportedBinding));
    assert_eq!(check(&end_point(), (plus, "n,,", b"")), Some(ScramError::Malformed));
    assert_eq!(check(&end_point(), (SCRAM_SHA_256, header, &[7; 32])), Some(ScramError::Malformed));
    assert_eq!(check(&end_point(), (SCRAM_SHA_256, "y,,", b"")), Some(ScramError::BindingDowngrade));
    let none = ChannelBinding::Unavailable;
    assert_eq!(check(&none, (SCRAM_SHA_256, "y,,", b"")), None);
    assert_eq!(check(&none, (plus, header, &[7; 32])), Some(ScramError::UnknownMechanism));
    assert_eq!(check(&none, (SCRAM_SHA_256, "n,,", b"more")), Some(ScramError::UnexpectedBinding));
    assert_eq!(check(&none, ("PLAIN", "n,,", b"")), Some(ScramError::UnknownMechanism));
}

#[track_caller]
fn check_first(message: &[u8], expected: ScramError) {
    let started = Exchange::start(
        secret(),
        &ChannelBinding::Unavailable,
        SCRAM_SHA_256.as_bytes(),
        message,
        [3; NONCE],
    );
    assert_eq!(started.err(), Some(expected));
}

#[test]
fn malformed_messages_are_refused() {
    for message in [
        b"".as_slice(),
        b"n",
        b"n,,",
        b"x,,n=,r=a",
        b"n,x,n=,r=a",
        b"n,,r=a",
        b"n,,n=,x=a",
        b"n,,n=,r=a,",
        b"n,,n=,r=a,1=b",
        b"n,,n=,r=a\0",
        b"n,,n=,r=\xff",
    ] {
        check_first(message, ScramError::Malformed);
    }
    check_first(b"n,a=bob,n=,r=a", ScramError::AuthorizationIdentity);
    check_first(b"n,,m=x,n=,r=a", ScramError::UnsupportedExtension);
    check_first(b"n,,n=,r=", ScramError::UnprintableNonce);
    check_first("n,,n=,r=ä".as_bytes(), ScramError::UnprintableNonce);

    let resume = || Exchange::resume(secret(), "biws", BARE, "r=abc,s=YQ==,i=10");
    for message in [
        b"".as_slice(),
        b"c=biws,r=abc",
        b"c=biws,p=YQ==",
        b"r=abc,c=biws,p=YQ==",
        b"c=biws,r=abc,p=YQ==",
        b"c=biws,r=abc,p=!",
    ] {
        assert_eq!(resume().finish(message), Err(ScramError::Malformed));
    }
    assert_eq!(resume().finish(b"c=biws,r=abcd,p=YQ=="), Err(ScramError::NonceMismatch));
}

#[test]
fn end_points_follow_the_signature() {
    let certificate = |oid: &[u8]| {
        let algorithm = [&[0x06, oid.len() as u8], oid].concat();
        let body = [&[0x30, 0x01, 0x00, 0x30, algorithm.len() as u8], algorithm.as_slice()].concat();
        [&[0x30, body.len() as u8], body.as_slice()].concat()
    };
    let length = |oid: &[u8]| server_end_point(&certificate(oid)).map(|it| it.len());
    assert_eq!(length(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]), Some(32));
    assert_eq!(length(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03]), Some(48));
    assert_eq!(length(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d]), Some(64));
    assert_eq!(length(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05]), Some(32));
    assert_eq!(length(&[0x2b, 0x65, 0x70]), None);
    assert_eq!(server_end_point(b""), None);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_panic(message: Vec<u8>, text in "[nyp=,rcm a]{0,20}") {
        for message in [message.as_slice(), text.as_bytes()] {
            let _ = Exchange::start(secret(), &end_point(), SCRAM_SHA_256.as_bytes(), message, [3; NONCE]);
            let _ = Exchange::resume(secret(), "biws", BARE, "r=abc,s=YQ==,i=10").finish(message);
            let _ = server_end_point(message);
        }
    }
}
