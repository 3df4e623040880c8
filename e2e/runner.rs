//! Runs the tests: those that can share the cluster side by side, those that disturb others alone.
use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use futures::{FutureExt, StreamExt, stream};
use tokio::time::timeout;

use crate::artifacts;
use crate::cluster::Cluster;
use crate::scene::Scene;
use crate::wait::seconds;

/// A test that takes longer hangs.
const TEST: Duration = seconds(1200);

pub(crate) type Body = for<'a> fn(&'a Scene) -> Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

pub(crate) struct Test {
    pub(crate) name: &'static str,
    pub(crate) part: Part,
    pub(crate) manners: Manners,
    pub(crate) body: Body,
}

/// The quick part is what every change must pass.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Part {
    Quick,
    Full,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Manners {
    /// Touches only its own namespace.
    Shares,
    /// Touches the operator, which is everybody's.
    Alone,
    /// Touches k8s nodes or the control plane, as only some providers can.
    Breaks,
}

pub(crate) enum Outcome {
    Passed,
    Skipped,
    Failed,
}

pub(crate) struct Options {
    pub(crate) side_by_side: usize,
    /// Leaves the namespaces of failed tests for a look at them.
    pub(crate) keep: bool,
}

/// Runs them and says how each went; true when none failed.
pub(crate) async fn run(cluster: Arc<Cluster>, tests: Vec<&'static Test>, options: &Options) -> bool {
    let start = Instant::now();
    let (shared, alone): (Vec<_>, Vec<_>) = tests.into_iter().partition(|it| it.manners == Manners::Shares);
    let mut outcomes: Vec<Outcome> = stream::iter(shared)
        .map(|test| one(cluster.clone(), test, options.keep))
        .buffer_unordered(options.side_by_side)
        .collect()
        .await;
    for test in alone {
        outcomes.push(one(cluster.clone(), test, options.keep).await);
    }
    let count = |of: fn(&Outcome) -> bool| outcomes.iter().filter(|it| of(it)).count();
    let failed = count(|it| matches!(it, Outcome::Failed));
    println!(
        "{} passed, {failed} failed, {} skipped, in {} s",
        count(|it| matches!(it, Outcome::Passed)),
        count(|it| matches!(it, Outcome::Skipped)),
        start.elapsed().as_secs()
    );
    failed == 0
}

async fn one(cluster: Arc<Cluster>, test: &'static Test, keep: bool) -> Outcome {
    if test.manners == Manners::Breaks && cluster.provider.faults().is_none() {
        println!("SKIPPED          {}: this provider can break nothing", test.name);
        return Outcome::Skipped;
    }
    let start = Instant::now();
    let result = in_a_scene(cluster, test, keep).await;
    let spent = start.elapsed().as_secs_f32();
    match result {
        Ok(()) => {
            println!("ok     {spent:6.1} s  {}", test.name);
            Outcome::Passed
        }
        Err(error) => {
            println!("FAILED {spent:6.1} s  {}\n         {error:#}", test.name);
            Outcome::Failed
        }
    }
}

async fn in_a_scene(cluster: Arc<Cluster>, test: &'static Test, keep: bool) -> Result<()> {
    let scene = Scene::set(cluster, test.name).await.context("cannot make the test's namespace")?;
    // A panic is this test's failure and no other's.
    let played = AssertUnwindSafe(timeout(TEST, (test.body)(&scene))).catch_unwind().await;
    let result = match played {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(anyhow!("not done after {TEST:?}")),
        Err(panic) => Err(anyhow!("panic: {}", message(&*panic))),
    };
    let result = match result {
        Ok(()) => Ok(()),
        Err(error) => match artifacts::collect(&scene, test.name, &error).await {
            Ok(directory) => Err(error.context(format!("see {}", directory.display()))),
            Err(trouble) => Err(error.context(format!("and no artifacts: {trouble:#}"))),
        },
    };
    if result.is_ok() || !keep {
        let _ = scene.strike(false).await;
    }
    result
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message")
}
