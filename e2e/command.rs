//! Programs that the suite runs: kubectl, helm, the provider's own. All have a deadline.
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use crate::wait::patience;

/// What a program said.
pub(crate) struct Said {
    pub(crate) success: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a program to its end, whatever that is.
pub(crate) async fn say(command: &mut Command, input: &str, deadline: Duration) -> Result<Said> {
    let name = shown(command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
    let mut stdin = child.stdin.take().expect("it is piped");
    let talk = async {
        // The program may end without reading: its exit status tells more than this error.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        child.wait_with_output().await
    };
    let output = timeout(deadline * patience(), talk)
        .await
        .with_context(|| format!("not done after {deadline:?}: {name}"))??;
    Ok(Said {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Runs a program that must succeed, and gives what it printed.
pub(crate) async fn run(command: &mut Command, input: &str, deadline: Duration) -> Result<String> {
    let said = say(command, input, deadline).await?;
    if !said.success {
        bail!("{} failed: {}{}", shown(command), said.stderr.trim_end(), said.stdout.trim_end());
    }
    Ok(said.stdout)
}

/// The command line, without the secrets that URIs hold.
fn shown(command: &Command) -> String {
    let command = command.as_std();
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words = words.map(|it| it.to_string_lossy().into_owned());
    let words = words.map(|it| if it.contains("://") { "URI".to_owned() } else { it });
    words.collect::<Vec<_>>().join(" ")
}
