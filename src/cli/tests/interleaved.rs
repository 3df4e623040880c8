//! Random schedules of several sessions, on a plain PostgreSQL and on a server group: the same statements wait, for as long; they
//! answer the same, and leave the same rows.
//!
//! What PostgreSQL says is the script for the group: a statement that waited there must wait, one that did not must end. Where it
//! found a deadlock the group must find one too, of whose sessions either may be the victim: there a schedule ends.
//!
//! `HOWDAH_INTERLEAVED=<count>` and `HOWDAH_SEED=<seed>` run more or others.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use howdah_harness::PostgresServer;
use howdah_harness::client::{Client, Protocol, Reply};
use howdah_harness::compare::difference;
use howdah_harness::generator::{Generator, SCHEDULE_ROWS, ScheduledStep, schedule_setup_sql};
use howdah_harness::group::{LocalGroup, Options};

const SESSIONS: usize = 3;
/// How long a statement must be seen to wait on a group.
const WAITS: Duration = Duration::from_millis(60);
/// Nothing that does not wait takes longer.
const ENDS: Duration = Duration::from_secs(20);
/// PostgreSQL finds a deadlock within a second, a group within two.
const DEADLOCK: Duration = Duration::from_secs(4);

#[test]
fn sessions_wait_for_each_other_as_on_postgres() {
    let number = |variable: &str| std::env::var(variable).ok()?.parse::<u64>().ok();
    let (count, seed) = (number("HOWDAH_INTERLEAVED").unwrap_or(30), number("HOWDAH_SEED").unwrap_or(3));
    let server = PostgresServer::start().expect("a plain PostgreSQL starts");
    let options = Options { shard_count: 8, ..Options::default() };
    let local = LocalGroup::start(env!("CARGO_BIN_EXE_howdah"), &options).expect("the group starts");
    let mut plain = server.client("postgres").expect("a connection");
    let mut group = local.connect().expect("a connection");
    for sql in schedule_setup_sql() {
        plain.rows(&sql).expect("PostgreSQL takes the schema");
        group.rows(&sql).expect("the group takes the schema");
    }
    group.rows("SELECT create_distributed_table('sh', 'k')").expect("a distributed table");
    group.rows("SELECT create_reference_table('re')").expect("a reference table");
    let mut on_plain = sessions(|| server.client("postgres"));
    let mut on_group = sessions(|| local.connect());
    let pids: Vec<String> = on_plain.iter_mut().map(|it| it.pid()).collect();
    let mut generator = Generator::new(seed);
    let (mut statements, mut waits, mut deadlocks) = (0, 0, 0);
    for number in 0..count {
        let schedule = generator.next_schedule();
        for sql in SCHEDULE_ROWS {
            plain.rows(sql).expect("rows for PostgreSQL");
            group.rows(sql).expect("rows for the group");
        }
        let events = record(&mut on_plain, &pids, &mut plain, &schedule);
        statements += schedule.len();
        waits += events.iter().filter(|it| matches!(it, Event::Waits(_))).count();
        deadlocks += events.iter().filter(|it| matches!(it, Event::Deadlock)).count();
        let outcome = replay(&mut on_group, &events);
        end_all(&mut on_plain);
        end_all(&mut on_group);
        let outcome = outcome.and_then(|()| nothing_stays_set(&on_group));
        let outcome = outcome.and_then(|()| same_rows(&mut plain, &mut group, &events));
        if let Err(differs) = outcome {
            panic!("seed {seed}, schedule {number}: {differs}\n{}", listing(&events));
        }
    }
    eprintln!("{count} schedules, {statements} statements, {waits} waits, {deadlocks} deadlocks");
    assert!(count < 30 || count < 4 * waits as u64, "{waits} waits show little");
}

/// What happened on PostgreSQL, in order.
enum Event {
    /// A statement was sent, and ended at once.
    Ends(ScheduledStep, Box<Reply>),
    /// A statement was sent, and waits.
    Waits(ScheduledStep),
    /// A statement that waited ended, because of what was last sent.
    Resumes(usize, Box<Reply>),
    Deadlock,
}

/// A client in a thread of its own.
struct Session {
    statements: Sender<String>,
    replies: Receiver<anyhow::Result<Reply>>,
    waits: bool,
}

fn sessions(connect: impl Fn() -> anyhow::Result<Client>) -> Vec<Session> {
    (0..SESSIONS).map(|_| Session::start(connect().expect("a connection"))).collect()
}

impl Session {
    fn start(mut client: Client) -> Self {
        let (statements, texts) = channel::<String>();
        let (answers, replies) = channel();
        thread::spawn(move || {
            for text in texts {
                // Nobody listens any more once the test has failed.
                let _ = answers.send(client.run(&text, Protocol::Simple, None));
            }
        });
        Self { statements, replies, waits: false }
    }

    fn send(&self, text: &str) {
        self.statements.send(text.to_owned()).expect("the session lives");
    }

    fn reply_within(&self, time: Duration) -> Option<Reply> {
        match self.replies.recv_timeout(time) {
            Ok(reply) => Some(reply.expect("the server answers")),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("a session has ended"),
        }
    }

    fn pid(&mut self) -> String {
        self.send("SELECT pg_backend_pid()");
        let reply = self.reply_within(ENDS).expect("an answer");
        reply.rows[0][0].clone().expect("a number")
    }

    fn roll_back(&mut self) {
        self.send("ROLLBACK");
        self.reply_within(ENDS).expect("a rollback");
    }
}

/// Ends all transactions: those that wait can end when others have.
fn end_all(sessions: &mut [Session]) {
    sessions.iter_mut().filter(|it| !it.waits).for_each(Session::roll_back);
    let deadline = Instant::now() + ENDS;
    while sessions.iter().any(|it| it.waits) {
        assert!(Instant::now() < deadline, "what was waited for is over");
        for session in sessions.iter_mut().filter(|it| it.waits) {
            if session.reply_within(Duration::from_millis(20)).is_some() {
                session.waits = false;
                session.roll_back();
            }
        }
    }
}

/// Runs a schedule on PostgreSQL. The statements of a session that waits are put off.
fn record(
    sessions: &mut [Session],
    pids: &[String],
    monitor: &mut Client,
    schedule: &[ScheduledStep],
) -> Vec<Event> {
    let mut rest: VecDeque<ScheduledStep> = schedule.iter().cloned().collect();
    let mut events = Vec::new();
    while let Some(at) = rest.iter().position(|it| !sessions[it.session].waits) {
        let step = rest.remove(at).expect("it is there");
        let session = &mut sessions[step.session];
        session.send(&step.text);
        let has_timeout = limits_waits(schedule, step.session);
        match settle(session, &pids[step.session], monitor, has_timeout) {
            Some(reply) => {
                let deadlock = reply.sqlstate() == "40P01";
                events.push(Event::Ends(step, Box::new(reply)));
                if deadlock {
                    events.push(Event::Deadlock);
                    return events;
                }
            }
            None => {
                session.waits = true;
                events.push(Event::Waits(step));
            }
        }
        if 1 < sessions.iter().filter(|it| it.waits).count() && found_deadlock(sessions, &mut events) {
            return events;
        }
        resume(sessions, pids, monitor, &mut events);
    }
    events
}

/// A session with `lock_timeout` is waited for: it ends by itself.
fn limits_waits(schedule: &[ScheduledStep], session: usize) -> bool {
    schedule.iter().any(|it| it.session == session && it.text.contains("lock_timeout"))
}

/// The reply, unless the session waits for another.
fn settle(session: &Session, pid: &str, monitor: &mut Client, to_the_end: bool) -> Option<Reply> {
    let deadline = Instant::now() + ENDS;
    loop {
        if let Some(reply) = session.reply_within(Duration::from_millis(2)) {
            return Some(reply);
        }
        assert!(Instant::now() < deadline, "PostgreSQL neither answers nor waits");
        if !to_the_end && is_blocked(monitor, pid) {
            return None;
        }
    }
}

fn is_blocked(monitor: &mut Client, pid: &str) -> bool {
    let rows = monitor.rows(&format!("SELECT cardinality(pg_blocking_pids({pid}))"));
    rows.expect("who waits")[0][0].as_deref() != Some("0")
}

/// Several wait: it may be for each other.
fn found_deadlock(sessions: &mut [Session], events: &mut Vec<Event>) -> bool {
    let deadline = Instant::now() + Duration::from_millis(1500);
    while Instant::now() < deadline {
        for (number, session) in sessions.iter_mut().enumerate().filter(|it| it.1.waits) {
            let Some(reply) = session.reply_within(Duration::from_millis(5)) else { continue };
            session.waits = false;
            let deadlock = reply.sqlstate() == "40P01";
            events.push(if deadlock { Event::Deadlock } else { Event::Resumes(number, Box::new(reply)) });
            if deadlock {
                return true;
            }
        }
    }
    false
}

/// Who waits no longer.
fn resume(sessions: &mut [Session], pids: &[String], monitor: &mut Client, events: &mut Vec<Event>) {
    let mut changed = true;
    while std::mem::take(&mut changed) {
        for number in 0..sessions.len() {
            if sessions[number].waits
                && let Some(reply) = settle(&sessions[number], &pids[number], monitor, false)
            {
                sessions[number].waits = false;
                events.push(Event::Resumes(number, Box::new(reply)));
                changed = true;
            }
        }
    }
}

/// Runs the same on the group.
fn replay(sessions: &mut [Session], events: &[Event]) -> Result<(), String> {
    for (at, event) in events.iter().enumerate() {
        let deadlock_follows = matches!(events.get(at + 1), Some(Event::Deadlock));
        match event {
            Event::Ends(step, _) if deadlock_follows => {
                sessions[step.session].send(&step.text);
                sessions[step.session].waits = true;
            }
            Event::Ends(step, expected) => {
                sessions[step.session].send(&step.text);
                ended(sessions, step.session, expected)?;
            }
            Event::Waits(step) => {
                sessions[step.session].send(&step.text);
                if let Some(reply) = sessions[step.session].reply_within(WAITS) {
                    return Err(format!("{} does not wait: {reply:?}", step.text));
                }
                sessions[step.session].waits = true;
            }
            Event::Resumes(number, expected) => {
                sessions[*number].waits = false;
                ended(sessions, *number, expected)?;
            }
            Event::Deadlock => return deadlocked(sessions),
        }
    }
    Ok(())
}

fn ended(sessions: &mut [Session], number: usize, expected: &Reply) -> Result<(), String> {
    let Some(reply) = sessions[number].reply_within(ENDS) else {
        sessions[number].waits = true;
        return Err(format!("session {number} waits"));
    };
    let tags = |it: &Reply| (it.error.is_none()).then(|| it.tags.clone());
    if let Some(differs) = difference(expected, &reply, true) {
        return Err(format!("session {number}: {differs}"));
    }
    match tags(expected) == tags(&reply) {
        true => Ok(()),
        false => Err(format!("session {number}: {:?}, then {:?}", expected.tags, reply.tags)),
    }
}

fn deadlocked(sessions: &mut [Session]) -> Result<(), String> {
    let deadline = Instant::now() + DEADLOCK;
    while Instant::now() < deadline {
        for session in sessions.iter_mut().filter(|it| it.waits) {
            let Some(reply) = session.reply_within(Duration::from_millis(5)) else { continue };
            session.waits = false;
            if reply.sqlstate() == "40P01" {
                return Ok(());
            }
        }
    }
    Err("no deadlock is found".to_owned())
}

/// SET LOCAL ends with its transaction, on workers as well.
fn nothing_stays_set(sessions: &[Session]) -> Result<(), String> {
    for (number, session) in sessions.iter().enumerate() {
        for sql in
            ["SHOW lock_timeout", "SELECT DISTINCT current_setting('lock_timeout') FROM sh WHERE k > 0"]
        {
            session.send(sql);
            let reply = session.reply_within(ENDS).expect("an answer");
            if reply.rows.iter().flatten().any(|it| it.as_deref() != Some("0")) {
                return Err(format!("session {number} is left with {sql}: {:?}", reply.rows));
            }
        }
    }
    Ok(())
}

/// In the end, unless some session was left in the middle.
fn same_rows(plain: &mut Client, group: &mut Client, events: &[Event]) -> Result<(), String> {
    if events.iter().any(|it| matches!(it, Event::Deadlock)) {
        return Ok(());
    }
    for table in ["sh", "re", "lo"] {
        let query = format!("SELECT * FROM {table}");
        let read = |client: &mut Client| client.simple(&query).expect("an answer");
        if let Some(differs) = difference(&read(plain), &read(group), false) {
            return Err(format!("{table} is left with {differs}"));
        }
    }
    Ok(())
}

fn listing(events: &[Event]) -> String {
    let line = |event: &Event| match event {
        Event::Ends(step, reply) => {
            format!("{}: {}  -- {} {:?}", step.session, step.text, reply.sqlstate(), reply.rows)
        }
        Event::Waits(step) => format!("{}: {}  -- waits", step.session, step.text),
        Event::Resumes(number, reply) => {
            format!("{number} goes on  -- {} {:?}", reply.sqlstate(), reply.rows)
        }
        Event::Deadlock => "deadlock".to_owned(),
    };
    events.iter().map(line).collect::<Vec<_>>().join("\n")
}
