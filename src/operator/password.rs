//! The administrator's password: where it comes from.
use howdah_api::{ConditionType, ServerGroupSpec};
use k8s_openapi::api::core::v1::Secret;
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::Error;
use crate::cluster::Cluster;
use crate::names::Names;
use crate::problem::Problem;
use crate::snapshot::{Snapshot, texts};

/// Of the Secret that the spec names; else what `<group>-app` has, which may have been changed by hand; else a new one.
pub(crate) async fn find(
    cluster: &Cluster,
    names: &Names,
    spec: &ServerGroupSpec,
    snapshot: &Snapshot,
) -> Result<Result<String, Problem>, Error> {
    let reference = &spec.admin_password_secret_ref;
    if reference.name.is_empty() {
        let kept = snapshot.secret(&names.app_secret()).and_then(|it| texts(it).remove("password"));
        return Ok(Ok(kept.filter(|it| !it.is_empty()).unwrap_or_else(generate)));
    }
    let secret = cluster.api::<Secret>(&names.namespace).get_opt(&reference.name).await?;
    let password = secret.and_then(|it| texts(&it).remove(&reference.key)).filter(|it| !it.is_empty());
    Ok(password.ok_or_else(|| {
        let message = format!(
            "there is no Secret \"{}\" with the key \"{}\" (spec.adminPasswordSecretRef). Create it, or leave spec.adminPasswordSecretRef.name empty for a generated password.",
            reference.name, reference.key
        );
        Problem::new(ConditionType::Degraded, "SecretMissing", message)
    }))
}

/// 24 letters and digits: 142 bits.
fn generate() -> String {
    let random = SystemRandom::new();
    let mut password = String::new();
    while password.len() < 24 {
        let mut byte = [0];
        random.fill(&mut byte).expect("the kernel gives random bytes");
        // 4 times 62: each letter is as likely as any other.
        if byte[0] < 248 {
            password.push(char::from(ALPHABET[usize::from(byte[0]) % ALPHABET.len()]));
        }
    }
    password
}

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
