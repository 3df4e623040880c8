//! Secrets: what applications need to connect, and the certificates.
use std::collections::BTreeMap;

use howdah_instance::pods::POSTGRES_PORT;
use k8s_openapi::api::core::v1::Secret;
use kube::api::DynamicObject;
use serde_json::json;

use super::{Blueprint, typed};
use crate::pki::Issued;

/// Who logs in with what.
pub(crate) struct Login<'a> {
    pub(crate) password: &'a str,
    /// With it clients can check whom they talk to: `sslmode=verify-full`.
    pub(crate) ca: &'a str,
}

/// `<group>-app`.
pub(crate) fn app_secret(blueprint: &Blueprint<'_>, login: &Login<'_>) -> DynamicObject {
    let names = &blueprint.names;
    let spec = blueprint.spec();
    let (host, port) = (names.service_host(), POSTGRES_PORT);
    let user = encode(&spec.admin_user);
    let (database, password) = (encode(&spec.database), encode(login.password));
    secret(
        blueprint,
        &names.app_secret(),
        "Opaque",
        &json!({}),
        &BTreeMap::from([
            ("username", spec.admin_user.as_str()),
            ("password", login.password),
            ("dbname", &spec.database),
            ("host", &host),
            ("port", &port.to_string()),
            ("ca.crt", login.ca),
            ("uri", &format!("postgresql://{user}:{password}@{host}:{port}/{database}?sslmode=require")),
            (
                "jdbc-uri",
                &format!(
                    "jdbc:postgresql://{host}:{port}/{database}?user={user}&password={password}&sslmode=require"
                ),
            ),
            (
                "pgpass",
                &format!(
                    "{host}:{port}:{}:{}:{}\n",
                    pgpass(&spec.database),
                    pgpass(&spec.admin_user),
                    pgpass(login.password)
                ),
            ),
        ]),
    )
}

/// A certificate with its key, as pods mount it; `annotations` tell the operator when to make the next.
pub(crate) fn certificate_secret(blueprint: &Blueprint<'_>, name: &str, issued: &Issued) -> DynamicObject {
    let data = BTreeMap::from([
        ("tls.crt", issued.certificate.as_str()),
        ("tls.key", issued.key.as_str()),
        ("ca.crt", issued.ca.as_str()),
    ]);
    secret(blueprint, name, "kubernetes.io/tls", &json!(issued.annotations()), &data)
}

fn secret(
    blueprint: &Blueprint<'_>,
    name: &str,
    kind: &str,
    annotations: &serde_json::Value,
    data: &BTreeMap<&str, &str>,
) -> DynamicObject {
    let mut metadata = blueprint.metadata(name, blueprint.names.labels());
    if annotations.as_object().is_some_and(|it| !it.is_empty()) {
        metadata["annotations"] = annotations.clone();
    }
    let data: BTreeMap<_, _> =
        data.iter().map(|(key, text)| (*key, k8s_openapi::ByteString(text.as_bytes().to_vec()))).collect();
    typed::<Secret>(json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": kind, "data": data,
    }))
}

/// Percent-encoding of a part of a URI: everything but the unreserved characters.
fn encode(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// As libpq reads a password file: colons and backslashes are escaped.
fn pgpass(field: &str) -> String {
    field.replace('\\', "\\\\").replace(':', "\\:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_survive_their_files() {
        assert_eq!(encode("p@ss:w/rd é"), "p%40ss%3Aw%2Frd%20%C3%A9");
        assert_eq!(pgpass(r"a:b\c"), r"a\:b\\c");
    }
}
