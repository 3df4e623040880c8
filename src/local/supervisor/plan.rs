//! Everything that is known before the first process starts: checked, chosen, and written down.
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::num::NonZeroU32;
use std::time::{Duration, UNIX_EPOCH};

use howdah_api::{ServerGroup, ServerGroupSpec};
use howdah_group::{Desired, MemberName, NodeName, Setup, check_worker_count};
use howdah_instance::processes::{self, Program};
use howdah_instance::{InstanceConfig, LogTarget, LoopbackConfig, TlsFiles};
use howdah_metadata::setup::{self, SetUp};
use tokio::time::{Instant, sleep};

use super::child::OWN_PROGRAM;
use super::progress::{Progress, report};
use crate::binaries::{self, Binaries, Wanted};
use crate::connect::{RouterLogin, Server};
use crate::pki::{Pki, write_private};
use crate::record::{FORMAT, Login, Record, Secrets};
use crate::run_dir::{RunDir, fnv};
use crate::state::{STOPPING, State};
use crate::{Error, Layout, UpRequest, parameters, ports, spec};

pub(super) struct Plan {
    pub(super) layout: Layout,
    group: ServerGroup,
    pub(super) record: Record,
    pub(super) secrets: Secrets,
    pub(super) run_dir: RunDir,
    pub(super) pki: Pki,
    /// Which build of this program sets databases up.
    fingerprint: String,
    /// Held for life: nobody else supervises the directory.
    _lock: File,
}

impl Plan {
    pub(super) async fn make(request: &UpRequest) -> Result<Self, Error> {
        let layout = Layout::new(&request.home);
        let lock = lock(&layout).await?;
        let existing = existing_group(&layout).await?;
        let group = server_group(request, &layout, existing.as_ref())?;
        note_ignored_fields(&group.spec);
        let record = record(request, &layout, &group, existing)?;
        check_router_port(&layout, record.port).await?;
        let secrets = Secrets::ensure(&layout)?;
        let pki = Pki::ensure(&layout.pki(), &record.name, record.desired().nodes())?;
        let run_dir = RunDir::of(&layout);
        run_dir.make(record.desired().members())?;
        record.save(&layout)?;
        let fingerprint = fingerprint();
        Ok(Self { layout, group, record, secrets, run_dir, pki, fingerprint, _lock: lock })
    }

    pub(super) fn spec(&self) -> &ServerGroupSpec {
        &self.group.spec
    }

    /// Keeps the file for the next `up` without one: it has shown that it works.
    pub(super) fn remember_spec(&self) -> Result<(), Error> {
        let text = serde_yaml::to_string(&self.group)
            .map_err(|error| Error::Spec { path: self.layout.spec(), message: error.to_string() })?;
        write_private(&self.layout.spec(), &text)
    }

    pub(super) fn desired(&self) -> Desired {
        Desired { workers: self.group.spec.workers.count }
    }

    pub(super) fn leaving(&self) -> BTreeSet<NodeName> {
        (self.desired().workers..self.record.workers).map(NodeName::Worker).collect()
    }

    /// The last worker is out of the catalog: what it had goes.
    pub(super) fn forget(&mut self, node: NodeName) -> Result<(), Error> {
        self.record.workers -= 1;
        self.record.ports.remove(&node);
        self.record.set_up_by.remove(&node);
        self.record.save(&self.layout)?;
        let directory = self.layout.member(MemberName::Postgres(node));
        match std::fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::file(&directory)(error)),
            _ => Ok(()),
        }
    }

    pub(super) fn uri(&self) -> String {
        self.record.uri(Login::Admin, &self.secrets)
    }

    pub(super) fn port(&self, name: MemberName) -> u16 {
        match name {
            MemberName::Router => self.record.port,
            MemberName::Postgres(node) => self.record.ports[&node],
        }
    }

    pub(super) fn server(&self, node: NodeName) -> Server {
        Server { socket_dir: self.run_dir.node(node), port: self.record.ports[&node] }
    }

    pub(super) fn router_login(&self, login: Login) -> RouterLogin {
        RouterLogin {
            port: self.record.port,
            database: self.record.database.clone(),
            user: self.record.user(login).to_owned(),
            password: self.secrets.password(login).to_owned(),
        }
    }

    pub(super) fn set_up(&self, node: NodeName) -> SetUp {
        let kind = match node {
            NodeName::Worker(_) => setup::Kind::Worker,
            NodeName::Coordinator => setup::Kind::Coordinator(setup::Coordinator {
                admin_password: self.secrets.admin_password.clone(),
                superuser_password: Some(self.secrets.superuser_password.clone()),
                loopback_dir: self.run_dir.loopback(),
                host: "localhost".into(),
                port: self.record.ports[&node],
            }),
        };
        SetUp { database: self.record.database.clone(), admin_user: self.record.admin_user.clone(), kind }
    }

    /// Databases that this build has set up before need not be looked at again.
    pub(super) fn done_setups(&self) -> BTreeMap<NodeName, Setup> {
        let by_us = self.record.set_up_by.iter().filter(|it| *it.1 == self.fingerprint);
        by_us.map(|it| (*it.0, Setup::Done)).collect()
    }

    pub(super) fn remember_setup(&mut self, node: NodeName) -> Result<(), Error> {
        self.record.set_up_by.insert(node, self.fingerprint.clone());
        self.record.save(&self.layout)
    }

    pub(super) fn instance_config(&self, node: NodeName) -> InstanceConfig {
        let identity = self.pki.identity(&node.to_string());
        let loopback = LoopbackConfig {
            listen_dir: self.run_dir.loopback(),
            router_socket: self.run_dir.router_loopback(),
            remote_port: None,
        };
        InstanceConfig {
            name: format!("{}/{node}", self.record.name),
            bin_dir: Some(self.record.postgres_bin.clone()),
            postgres_major: Some(self.record.postgres_major),
            member_dir: self.layout.member(MemberName::Postgres(node)),
            socket_dir: self.run_dir.node(node),
            listen_addresses: "127.0.0.1".into(),
            port: self.record.ports[&node],
            tls: TlsFiles { certificate: identity.certificate, key: identity.key, ca: self.pki.ca() },
            settings: parameters::settings(&self.group.spec, node),
            servers_sharing_memory: NonZeroU32::MIN.saturating_add(self.spec().workers.count),
            loopback: (node == NodeName::Coordinator).then_some(loopback),
            control: None,
            log: LogTarget::File,
            stop_patience: STOP_PATIENCE,
        }
    }
}

/// One supervisor per directory. One that is stopping is waited for; one that runs is left alone.
async fn lock(layout: &Layout) -> Result<File, Error> {
    let path = layout.lock();
    let file =
        File::options().create(true).truncate(false).write(true).open(&path).map_err(Error::file(&path))?;
    let begin = Instant::now();
    while file.try_lock().is_err() {
        let stopping = State::load_live(layout).ok().flatten().is_some_and(|it| it.phase == STOPPING);
        let patience = if stopping { STOPPING_PATIENCE } else { RUNNING_PATIENCE };
        if begin.elapsed() > patience {
            return Err(Error::InUse(layout.dir().to_owned()));
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(file)
}

/// The group of the directory. One in which no database was ever made holds nobody's data: a first start
/// that failed, or was killed, binds the next one to nothing.
async fn existing_group(layout: &Layout) -> Result<Option<Record>, Error> {
    let record = Record::load(layout)?;
    if record.as_ref().is_none_or(|it| !it.set_up_by.is_empty() || may_hold_data(layout, it)) {
        return Ok(record);
    }
    crate::down::clear_leftovers(layout).await?;
    crate::down::remove(layout, crate::down::MADE_BY_A_START)?;
    Ok(None)
}

/// Whether any server has a database beyond the three that initdb makes.
fn may_hold_data(layout: &Layout, record: &Record) -> bool {
    record.ports.keys().any(|node| {
        let databases = std::fs::read_dir(layout.data(*node).join("base"));
        databases.is_ok_and(|it| it.flatten().filter(is_database).count() > 3)
    })
}

fn is_database(entry: &std::fs::DirEntry) -> bool {
    entry.file_name().to_str().is_some_and(|it| it.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The file that `up` was given, else the one of last time, else every default.
fn server_group(
    request: &UpRequest,
    layout: &Layout,
    existing: Option<&Record>,
) -> Result<ServerGroup, Error> {
    let mut group = match (&request.group, existing) {
        (Some(group), _) => group.clone(),
        (None, Some(_)) if layout.spec().exists() => spec::read(&layout.spec())?,
        (None, Some(existing)) => like(existing),
        (None, None) => ServerGroup::named("local"),
    };
    if let Some(workers) = request.workers {
        group.spec.workers.count = workers;
    } else if request.group.is_none() {
        // Without a file and a number, what is there is what is wanted.
        group.spec.workers.count = existing.map_or(group.spec.workers.count, |it| it.workers);
    }
    Ok(group)
}

/// Every default but for what cannot change.
fn like(existing: &Record) -> ServerGroup {
    let mut group = ServerGroup::named(&existing.name);
    group.spec.database.clone_from(&existing.database);
    group.spec.admin_user.clone_from(&existing.admin_user);
    group.spec.workers.count = existing.workers;
    group
}

fn note_ignored_fields(spec: &ServerGroupSpec) {
    let fields = spec::ignored_fields(spec);
    if !fields.is_empty() {
        let text = format!("ignored on one machine (for Kubernetes only): {}", fields.join(", "));
        report(&Progress::Note { text });
    }
}

fn record(
    request: &UpRequest,
    layout: &Layout,
    group: &ServerGroup,
    existing: Option<Record>,
) -> Result<Record, Error> {
    let spec = &group.spec;
    check_worker_count(spec.workers.count)?;
    if let Some(existing) = &existing {
        check_immutable(layout, group, existing)?;
    }
    let binaries = find_postgres(request, layout, spec, existing.as_ref())?;
    let port = request.port.or(existing.as_ref().map(|it| it.port)).unwrap_or(DEFAULT_PORT);
    let mut record = existing.unwrap_or(Record {
        format: FORMAT,
        name: group.name().to_owned(),
        database: spec.database.clone(),
        admin_user: spec.admin_user.clone(),
        workers: 0,
        postgres_major: binaries.major,
        postgres_bin: binaries.bin_dir.clone(),
        port,
        ports: BTreeMap::new(),
        set_up_by: BTreeMap::new(),
    });
    // Those that leave are there until the catalog has let them go.
    record.workers = record.workers.max(spec.workers.count);
    record.postgres_bin = binaries.bin_dir;
    record.port = port;
    choose_ports(layout, &mut record)?;
    Ok(record)
}

fn check_immutable(layout: &Layout, group: &ServerGroup, existing: &Record) -> Result<(), Error> {
    let fixed = [
        ("metadata.name", existing.name.as_str(), group.name()),
        ("spec.database", &existing.database, &group.spec.database),
        ("spec.adminUser", &existing.admin_user, &group.spec.admin_user),
    ];
    match fixed.into_iter().find(|(_, existing, wanted)| existing != wanted) {
        None => Ok(()),
        Some((field, existing, wanted)) => Err(Error::Immutable {
            field,
            existing: existing.to_owned(),
            wanted: wanted.to_owned(),
            dir: layout.dir().to_owned(),
        }),
    }
}

/// Data directories fix the version. Without data: what the spec asks for, else the newest.
fn find_postgres(
    request: &UpRequest,
    layout: &Layout,
    spec: &ServerGroupSpec,
    existing: Option<&Record>,
) -> Result<Binaries, Error> {
    let asked = spec::postgres_major(spec).map_err(|message| Error::Spec { path: layout.spec(), message })?;
    let bin_dir = request.postgres_bin.as_deref();
    let Some(existing) = existing else {
        let because = if asked.is_some() { " (spec.postgresVersion)" } else { "" };
        return binaries::find(&Wanted { bin_dir, major: asked, because });
    };
    if asked.is_some_and(|it| it != existing.postgres_major) {
        return Err(Error::Immutable {
            field: "spec.postgresVersion",
            existing: existing.postgres_major.to_string(),
            wanted: spec.postgres_version.clone(),
            dir: layout.dir().to_owned(),
        });
    }
    let because = " (the data are of that version)";
    let wanted = |bin_dir| Wanted { bin_dir, major: Some(existing.postgres_major), because };
    if bin_dir.is_none() {
        // The programs of last time, if they are still there.
        if let Ok(found) = binaries::find(&wanted(Some(&existing.postgres_bin))) {
            return Ok(found);
        }
    }
    binaries::find(&wanted(bin_dir))
}

/// Keeps the ports of last time where they are free; the catalog follows at registration.
fn choose_ports(layout: &Layout, record: &mut Record) -> Result<(), Error> {
    let mut taken: BTreeSet<u16> = record.ports.values().copied().collect();
    taken.insert(record.port);
    for node in record.desired().nodes() {
        let ours = || !processes::running_in(&layout.data(node), Program::Postgres).is_empty();
        let usable = |it: u16| it != record.port && (ports::is_free(it) || ours());
        let keep = record.ports.get(&node).is_some_and(|it| usable(*it));
        if !keep {
            let port = ports::choose(fnv(layout.dir()), &taken)?;
            taken.insert(port);
            record.ports.insert(node, port);
        }
    }
    Ok(())
}

/// A router of this group that was left alone a moment ago is on its way out.
async fn check_router_port(layout: &Layout, port: u16) -> Result<(), Error> {
    let begin = Instant::now();
    let router = layout.member(MemberName::Router);
    while !ports::is_free(port) {
        if processes::running_in(&router, Program::Howdah).is_empty() {
            // Between its end and the kernel's there may be an instant.
            sleep(Duration::from_millis(50)).await;
            return if ports::is_free(port) { Ok(()) } else { Err(Error::PortTaken { port }) };
        }
        if begin.elapsed() > RUNNING_PATIENCE {
            processes::kill_all(&router, Program::Howdah);
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Which build of this program it is.
fn fingerprint() -> String {
    let built = std::fs::metadata(OWN_PROGRAM).and_then(|it| Ok((it.modified()?, it.len())));
    let (modified, length) = built.unwrap_or((UNIX_EPOCH, 0));
    let nanoseconds = modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    format!("{}-{nanoseconds:x}-{length:x}", env!("CARGO_PKG_VERSION"))
}

pub(crate) const DEFAULT_PORT: u16 = 9700;
/// For the last checkpoint of a server.
const STOP_PATIENCE: Duration = Duration::from_secs(30);
const RUNNING_PATIENCE: Duration = Duration::from_secs(2);
const STOPPING_PATIENCE: Duration = Duration::from_secs(60);
