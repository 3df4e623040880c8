//! SCRAM-SHA-256 against the coordinator's own roles, with the errors that PostgreSQL gives.

use howdah_catalog::GroupId;
use howdah_pg::SqlState;
use howdah_pg::scram::{Exchange, NONCE, ScramError, Secret};
use howdah_pg::wire::{backend, frontend};
use howdah_tls::names;
use ring::rand::{SecureRandom, SystemRandom};

use crate::client::Client;
use crate::error::{Error, Result};
use crate::router::Router;
use crate::settings::literal;
use crate::startup::fatal;

/// What `pg_authid` says of a role.
struct Role {
    password: Option<String>,
    can_login: bool,
    expired: bool,
}

/// Sees that the client is who it says, up to AuthenticationOk in the output buffer.
pub(crate) async fn authenticate(client: &mut Client, user: &str, router: &Router) -> Result<()> {
    // The TLS handshake has shown that it is a certificate of the group's own CA.
    if user == router.config.superuser && client.common_name().as_deref() == Some(names::OPERATOR) {
        backend::put_authentication_ok(client.buffer());
        return Ok(());
    }
    let role = find_role(user, router).await?;
    let secret = secret_of(user, role.as_ref(), router);
    exchange(client, user, secret).await?;
    if !role.is_some_and(|it| it.can_login) {
        let message = format!("role \"{user}\" is not permitted to log in");
        return Err(fatal(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, message));
    }
    backend::put_authentication_ok(client.buffer());
    Ok(())
}

/// An unknown role, an expired password and none at all go through the same exchange as a wrong one.
fn secret_of(user: &str, role: Option<&Role>, router: &Router) -> Secret {
    let usable = role.filter(|it| !it.expired).and_then(|it| it.password.as_deref());
    match usable.map(Secret::parse) {
        Some(Ok(secret)) => secret,
        Some(Err(reason)) => {
            tracing::info!(user, hint = reason.hint(), "the role's password cannot be used for SCRAM");
            Secret::mock(user, &router.mock_nonce)
        }
        None => Secret::mock(user, &router.mock_nonce),
    }
}

async fn exchange(client: &mut Client, user: &str, secret: Secret) -> Result<()> {
    let binding = &client.binding.clone();
    backend::put_authentication_sasl(client.buffer(), binding.mechanisms());
    client.flush().await?;
    let body = password_message(client).await?;
    let initial = frontend::sasl_initial(&body)?;
    let mut nonce = [0; NONCE];
    SystemRandom::new().fill(&mut nonce).expect("the system has randomness");
    let data = initial.data.unwrap_or_default();
    let started = Exchange::start(secret, binding, initial.mechanism, data, nonce);
    let (exchange, answer) = started.map_err(|error| failed(error, user))?;
    backend::put_authentication_sasl_continue(client.buffer(), &answer);
    client.flush().await?;
    let body = password_message(client).await?;
    let answer = exchange.finish(&body).map_err(|error| failed(error, user))?;
    backend::put_authentication_sasl_final(client.buffer(), &answer);
    Ok(())
}

async fn password_message(client: &mut Client) -> Result<bytes::Bytes> {
    let frame = client.next_message().await?;
    if frame.tag != b'p' {
        let message = format!("expected SASL response, got message type {}", frame.tag);
        return Err(fatal(SqlState::PROTOCOL_VIOLATION, message));
    }
    Ok(frame.body)
}

fn failed(error: ScramError, user: &str) -> Error {
    match error {
        ScramError::WrongPassword => {
            fatal(error.sqlstate(), format!("password authentication failed for user \"{user}\""))
        }
        error => fatal(error.sqlstate(), error.to_string()),
    }
}

async fn find_role(user: &str, router: &Router) -> Result<Option<Role>> {
    let sql = format!(
        "SELECT rolpassword, rolcanlogin, coalesce(rolvaliduntil < now(), false) \
         FROM pg_catalog.pg_authid WHERE rolname = {}",
        literal(user)
    );
    let mut control = router.pools.acquire(GroupId::COORDINATOR, &router.config.superuser).await?;
    let rows = control.rows(&sql).await?;
    let is_true = |value: &Option<String>| value.as_deref() == Some("t");
    Ok(rows.into_iter().next().and_then(|row| match <[Option<String>; 3]>::try_from(row) {
        Ok([password, can_login, expired]) => {
            Some(Role { password, can_login: is_true(&can_login), expired: is_true(&expired) })
        }
        Err(_) => None,
    }))
}
