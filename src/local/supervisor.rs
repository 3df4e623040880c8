//! The supervisor: observe, decide, apply, until told to stop.
//!
//! It is the parent of every instance manager and of the router and holds the write end of each one's
//! standard input, whose end they take for its death. One loop over one queue of events; `group::decide`
//! says what to do; nothing else here decides.
mod child;
mod plan;
mod progress;
mod router;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use howdah_group::{Action, Decision, Life, Member, MemberName, NodeName, Observed, Phase, Setup, decide};
use howdah_instance::Lifeline;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use self::child::Child;
pub(crate) use self::child::{OWN_PROGRAM, open_log};
use self::plan::Plan;
pub use self::progress::Progress;
use crate::record::Login;
use crate::state::{MemberState, STOPPING, State, member_status, phase_name};
use crate::{Error, UpRequest};

/// Runs a group until its front ends or a signal comes. The request is the first line of standard input;
/// progress goes to standard output. The exit code is returned.
pub async fn supervise() -> u8 {
    let result = match read_request() {
        Ok(request) => start(&request).await,
        Err(error) => Err(error),
    };
    match result {
        Ok(()) => 0,
        Err(error) => {
            error!(%error, "the server group did not start");
            progress::report(&Progress::Failed { message: error.to_string() });
            1
        }
    }
}

fn read_request() -> Result<UpRequest, Error> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(Error::file("standard input"))?;
    serde_json::from_str(&line).map_err(|error| Error::Supervisor(format!("unreadable request: {error}")))
}

async fn start(request: &UpRequest) -> Result<(), Error> {
    // A session of its own: neither Ctrl-C nor the end of the terminal reaches the servers.
    let _ = nix::unistd::setsid();
    let plan = Plan::make(request).await?;
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(wait_for_stop(request.detach, stop.clone())?);
    let mut supervisor = Supervisor::new(plan, tasks);
    let result = supervisor.run(&stop).await;
    supervisor.stop().await;
    result
}

/// SIGTERM, SIGINT, and in the foreground the end of the front.
fn wait_for_stop(
    detached: bool,
    stop: CancellationToken,
) -> Result<impl Future<Output = ()> + Send + 'static, Error> {
    let lifeline = if detached { Lifeline::None } else { Lifeline::StandardInput };
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::file("signals"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::file("signals"))?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => info!("stopping: SIGTERM"),
            _ = interrupt.recv() => info!("stopping: SIGINT"),
            () = lifeline.cut() => info!("stopping: the front has ended"),
        }
        stop.cancel();
    })
}

/// What the supervisor waits for.
#[derive(Debug)]
pub(crate) enum Event {
    Initialising(MemberName),
    /// The member serves; the postmaster's pid where there is one.
    Ready(MemberName, Option<i32>),
    /// Postgres went away; its instance manager starts it again.
    PostgresExited(MemberName, String),
    /// The instance manager gives up.
    GaveUp(MemberName, String),
    /// The process itself ended.
    Ended(MemberName, String),
    SetUp(NodeName, Result<(), String>),
    Registered(NodeName, Result<(), String>),
    Removed(NodeName, Result<(), String>),
}

struct Supervisor {
    plan: Plan,
    observed: Observed,
    children: BTreeMap<MemberName, Child>,
    clock: Instant,
    events: mpsc::Receiver<Event>,
    sender: mpsc::Sender<Event>,
    tasks: JoinSet<()>,
    /// The last state written, to write only changes.
    published: Option<State>,
    /// The latest reasons, for the message when the group never comes up.
    reasons: VecDeque<(MemberName, String)>,
}

impl Supervisor {
    fn new(plan: Plan, tasks: JoinSet<()>) -> Self {
        let (sender, events) = mpsc::channel(EVENT_QUEUE);
        Self {
            observed: Observed { setup: plan.done_setups(), leaving: plan.leaving(), ..Observed::default() },
            plan,
            children: BTreeMap::new(),
            clock: Instant::now(),
            events,
            sender,
            tasks,
            published: None,
            reasons: VecDeque::new(),
        }
    }

    async fn run(&mut self, stop: &CancellationToken) -> Result<(), Error> {
        loop {
            let decision = decide(&self.plan.desired(), &self.observed, self.clock.elapsed());
            for action in &decision.actions {
                self.apply(action)?;
            }
            self.publish(&decision)?;
            tokio::select! {
                Some(event) = self.events.recv() => self.observe(event)?,
                () = sleep(decision.check_again_in) => {}
                () = stop.cancelled() => return Ok(()),
            }
            while self.tasks.try_join_next().is_some() {}
        }
    }

    fn apply(&mut self, action: &Action) -> Result<(), Error> {
        info!(?action, "applying");
        match action {
            Action::Start(name) => self.start_member(*name)?,
            Action::SetUp(node) => {
                self.observed.setup.insert(*node, Setup::Running);
                let (node, server) = (*node, self.plan.server(*node));
                let (setup, sender) = (self.plan.set_up(node), self.sender.clone());
                self.progress_step(format!("setting up {node}"));
                self.tasks.spawn(async move {
                    let result = server.set_up(&setup).await;
                    let _ = sender.send(Event::SetUp(node, result.map_err(|it| describe(&it)))).await;
                });
            }
            Action::Register(node) => {
                self.observed.registering.insert(*node);
                let (node, sender) = (*node, self.sender.clone());
                let (router, worker) = (self.plan.router_login(Login::Superuser), self.plan.server(node));
                self.progress_step(format!("adding {node}"));
                self.tasks.spawn(async move {
                    let result = async {
                        let router = router.connect().await?;
                        howdah_metadata::register(&router, &worker.as_worker()).await
                    };
                    let result = result.await.map_err(|it| describe(&it));
                    let _ = sender.send(Event::Registered(node, result)).await;
                });
            }
            Action::Remove(node) => {
                self.observed.registering.insert(*node);
                let (node, sender) = (*node, self.sender.clone());
                let (router, worker) = (self.plan.router_login(Login::Superuser), self.plan.server(node));
                self.progress_step(format!("removing {node}"));
                self.tasks.spawn(async move {
                    let result = async {
                        let router = router.connect().await?;
                        howdah_metadata::remove(&router, &worker.as_worker()).await
                    };
                    let result = result.await.map_err(|it| describe(&it));
                    let _ = sender.send(Event::Removed(node, result)).await;
                });
            }
            Action::Stop(name) => {
                if let Some(child) = self.children.get_mut(name) {
                    child.release();
                }
            }
        }
        Ok(())
    }

    fn start_member(&mut self, name: MemberName) -> Result<(), Error> {
        self.progress_step(format!("starting {name}"));
        let started = match name {
            MemberName::Postgres(node) => {
                child::start_instance(&self.plan, node, &self.sender, &mut self.tasks)
            }
            MemberName::Router => router::start(&self.plan, &self.sender, &mut self.tasks),
        };
        match started {
            Ok(child) => {
                let failures = self.observed.members.get(&name).map_or(0, |it| it.failures);
                self.children.insert(name, child);
                self.observed.members.insert(name, Member { life: Life::Starting, failures });
                Ok(())
            }
            // No memory or no disk: it may pass, and must not take the other members down.
            Err(error) => self.member_down(name, error.to_string()),
        }
    }

    fn member_down(&mut self, name: MemberName, reason: String) -> Result<(), Error> {
        warn!(member = %name, %reason, "down");
        let failures = self.failed_once_more(name);
        let life = Life::Down { since: self.clock.elapsed() };
        self.observed.members.insert(name, Member { life, failures });
        self.give_up_if(failures >= MAX_FAILURES, name, reason)
    }

    /// What is known after the event. Before the group was ready for the first time, what fails again and
    /// again ends the start with its reason; afterwards the supervisor never gives up.
    fn observe(&mut self, event: Event) -> Result<(), Error> {
        match event {
            Event::Initialising(name) => self.progress_step(format!("making the data directory of {name}")),
            Event::Ready(name, postgres_pid) => {
                self.observed.members.insert(name, Member { life: Life::Ready, failures: 0 });
                if let Some(child) = self.children.get_mut(&name) {
                    child.postgres_pid = postgres_pid;
                }
                info!(member = %name, "ready");
            }
            Event::PostgresExited(name, reason) => {
                warn!(member = %name, %reason, "postgres ended");
                let failures = self.failed_once_more(name);
                self.observed.members.insert(name, Member { life: Life::Starting, failures });
                if let Some(child) = self.children.get_mut(&name) {
                    child.postgres_pid = None;
                }
                self.give_up_if(failures >= MAX_FAILURES, name, reason)?;
            }
            Event::GaveUp(name, reason) => {
                error!(member = %name, %reason, "the instance manager gave up");
                self.give_up_if(true, name, reason)?;
            }
            Event::Ended(name, reason) => {
                self.children.remove(&name);
                self.member_down(name, reason)?;
            }
            Event::SetUp(node, result) => self.observe_setup(node, result)?,
            Event::Registered(node, result) => {
                self.observed.registering.remove(&node);
                match result {
                    Ok(()) => drop(self.observed.registered.insert(node)),
                    Err(reason) => self.step_failed("registering", node, &reason)?,
                }
            }
            Event::Removed(node, result) => {
                self.observed.registering.remove(&node);
                match result {
                    Ok(()) => {
                        self.observed.leaving.remove(&node);
                        self.plan.forget(node)?;
                    }
                    Err(reason) => self.step_failed("removing", node, &reason)?,
                }
            }
        }
        Ok(())
    }

    fn observe_setup(&mut self, node: NodeName, result: Result<(), String>) -> Result<(), Error> {
        match result {
            Ok(()) => {
                self.observed.setup.insert(node, Setup::Done);
                self.plan.remember_setup(node)
            }
            Err(reason) => {
                self.observed.setup.remove(&node);
                self.step_failed("setting up", node, &reason)
            }
        }
    }

    /// The server may just have gone away: then the step is tried again when it is back.
    fn step_failed(&mut self, step: &str, node: NodeName, reason: &str) -> Result<(), Error> {
        error!(%node, %reason, "{step} failed");
        let name = MemberName::Postgres(node);
        let failures = self.reasons.iter().filter(|it| it.0 == name).count() + 1;
        self.reasons.push_back((name, reason.to_owned()));
        self.give_up_if(failures >= MAX_FAILURES as usize, name, format!("{step} {node} failed: {reason}"))
    }

    fn failed_once_more(&self, name: MemberName) -> u32 {
        self.observed.members.get(&name).map_or(1, |it| it.failures + 1)
    }

    fn give_up_if(&self, hopeless: bool, name: MemberName, reason: String) -> Result<(), Error> {
        if hopeless && !self.observed.was_ready {
            return Err(Error::Member { member: name.to_string(), reason });
        }
        Ok(())
    }

    fn publish(&mut self, decision: &Decision) -> Result<(), Error> {
        let state = self.state(phase_name(decision.phase));
        if self.published.as_ref() != Some(&state) {
            self.write(state);
        }
        if decision.phase == Phase::Ready && !self.observed.was_ready {
            self.observed.was_ready = true;
            self.reasons.clear();
            if let Err(error) = self.plan.remember_spec() {
                error!(%error, "could not keep the server group's file");
            }
            let elapsed = self.clock.elapsed();
            info!(?elapsed, "the server group answers queries");
            progress::report(&Progress::Ready { uri: self.plan.uri() });
        }
        Ok(())
    }

    /// A full disk must not end a group that runs: the file is written at the next change.
    fn write(&mut self, state: State) {
        match state.save(&self.plan.layout) {
            Ok(()) => self.published = Some(state),
            Err(error) => error!(%error, "could not write the state"),
        }
    }

    fn state(&self, phase: &str) -> State {
        let member = |name: MemberName| {
            let state = match self.observed.members.get(&name).map(|it| it.life) {
                Some(Life::Ready) => MemberState::Running,
                Some(Life::Starting) => MemberState::Starting,
                Some(Life::Down { .. }) | None => MemberState::Stopped,
            };
            let child = self.children.get(&name);
            let postgres_pid = child.and_then(|it| it.postgres_pid);
            member_status(name, state, child.map(|it| it.pid), postgres_pid, self.plan.port(name))
        };
        State {
            phase: phase.to_owned(),
            supervisor: std::process::id(),
            members: self.plan.desired().members().map(member).collect(),
        }
    }

    /// The router first, so that clients see a server that shuts down and not one that fails. Statements that
    /// still run then end as in PostgreSQL's fast shutdown, with their server.
    async fn stop(&mut self) {
        self.write(self.state(STOPPING));
        progress::report(&Progress::Step { text: "stopping".into() });
        self.release(|it| it == MemberName::Router, ROUTER_STOP).await;
        self.release(|_| true, SERVERS_STOP).await;
        for child in self.children.values() {
            child.kill();
        }
        self.tasks.shutdown().await;
        let _ = std::fs::remove_file(self.plan.layout.state());
    }

    /// Lets go of the members and waits until they have ended. Nothing is killed: an instance manager knows
    /// how to stop its server and has its own limits, and a router ends with its servers.
    async fn release(&mut self, which: impl Fn(MemberName) -> bool, patience: Duration) {
        for (_, child) in self.children.iter_mut().filter(|it| which(*it.0)) {
            child.release();
        }
        let ended = async {
            while self.children.keys().any(|it| which(*it)) {
                if let Some(Event::Ended(name, _)) = self.events.recv().await {
                    self.children.remove(&name);
                }
            }
        };
        if timeout(patience, ended).await.is_err() {
            info!(?patience, "some members have not ended yet");
        }
    }

    fn progress_step(&self, text: String) {
        if !self.observed.was_ready {
            progress::report(&Progress::Step { text });
        }
    }
}

/// What Postgres said, rather than that it said something.
fn describe(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => {
            let detail = said.detail().map(|it| format!(": {it}")).unwrap_or_default();
            format!("{}{detail} ({})", said.message(), said.code().code())
        }
        None => {
            std::error::Error::source(error).map_or_else(|| error.to_string(), |it| format!("{error}: {it}"))
        }
    }
}

/// A member reports a few events per start, and the loop never waits: this leaves room for all at once.
const EVENT_QUEUE: usize = 256;
/// In a row, while the group has never been ready.
const MAX_FAILURES: u32 = 3;
const ROUTER_STOP: Duration = Duration::from_millis(500);
const SERVERS_STOP: Duration = Duration::from_secs(60);
