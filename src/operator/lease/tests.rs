//! Two claimants over one object, with lost answers, pauses and clocks that differ.
use super::*;

/// The API server's part: one object with a version.
#[derive(Default)]
struct Server {
    record: Option<Record>,
    version: u64,
}

impl Server {
    fn perform(&mut self, action: &Action, sent: Duration) -> Option<Event> {
        match action {
            Action::Wait(_) => None,
            Action::Read => Some(Event::Read(self.record.clone())),
            Action::Create(_) if self.record.is_some() => Some(Event::Conflict),
            Action::Create(claim) => Some(self.write(claim, sent)),
            Action::Replace(claim, version) => match &self.record {
                Some(record) if record.version == *version => Some(self.write(claim, sent)),
                _ => Some(Event::Conflict),
            },
        }
    }

    fn write(&mut self, claim: &Claim, sent: Duration) -> Event {
        self.version += 1;
        let Claim { holder, duration, transitions } = claim.clone();
        let record = Record { holder, duration, transitions, version: self.version.to_string() };
        self.record = Some(record.clone());
        Event::Written { record, sent }
    }
}

const LEASE: Duration = Duration::from_secs(15);

fn seconds(it: u64) -> Duration {
    Duration::from_secs(it)
}

fn claimant(name: &str) -> Election {
    Election::new(name.into(), LEASE)
}

/// Lets a claimant act until it waits; says for how long.
fn turn(server: &mut Server, it: &mut Election, now: Duration) -> Duration {
    let mut action = it.handle(Event::Tick, now);
    loop {
        match server.perform(&action, now) {
            Some(event) => action = it.handle(event, now),
            None => {
                let Action::Wait(wait) = action else { unreachable!("only waiting is not performed") };
                return wait;
            }
        }
    }
}

#[test]
fn the_first_leads_and_the_second_waits() {
    let (mut server, mut a, mut b) = (Server::default(), claimant("a"), claimant("b"));
    for second in 0..60 {
        turn(&mut server, &mut a, seconds(second));
        turn(&mut server, &mut b, seconds(second));
        assert!(a.leads(seconds(second)));
        assert!(!b.leads(seconds(second)));
    }
    assert_eq!(server.record.unwrap().transitions, 0);
}

#[test]
fn a_released_lease_is_taken_at_once() {
    let (mut server, mut a, mut b) = (Server::default(), claimant("a"), claimant("b"));
    turn(&mut server, &mut a, seconds(0));
    turn(&mut server, &mut b, seconds(0));
    let release = a.release(seconds(1)).unwrap();
    assert!(!a.leads(seconds(1)), "it stops before it says so");
    server.perform(&release, seconds(1));
    turn(&mut server, &mut b, seconds(1));
    assert!(b.leads(seconds(1)));
    assert_eq!(a.release(seconds(2)), None, "not twice");
}

#[test]
fn a_paused_holder_does_not_lead_when_it_wakes() {
    let (mut server, mut a, mut b) = (Server::default(), claimant("a"), claimant("b"));
    turn(&mut server, &mut a, seconds(0));
    for second in 0..40 {
        turn(&mut server, &mut b, seconds(second));
        assert!(!(a.leads(seconds(second)) && b.leads(seconds(second))), "two leaders at {second}");
    }
    assert!(b.leads(seconds(40)));
    assert!(!a.leads(seconds(40)), "before it has asked anybody");
    turn(&mut server, &mut a, seconds(40));
    assert!(!a.leads(seconds(40)));
    assert!(b.leads(seconds(40)));
}

#[test]
fn a_renewal_counts_from_when_it_was_sent() {
    let (mut server, mut a) = (Server::default(), claimant("a"));
    turn(&mut server, &mut a, seconds(0));
    let action = a.handle(Event::Tick, seconds(5));
    let event = server.perform(&action, seconds(5)).unwrap();
    // The answer took eight seconds; it is worth what it was worth when the server wrote it, or less.
    a.handle(event, seconds(13));
    assert!(a.leads(seconds(14)));
    assert!(!a.leads(seconds(15)));
}

#[test]
fn a_lost_answer_makes_no_second_leader() {
    let (mut server, mut a, mut b) = (Server::default(), claimant("a"), claimant("b"));
    turn(&mut server, &mut a, seconds(0));
    let action = a.handle(Event::Tick, seconds(3));
    server.perform(&action, seconds(3)).unwrap();
    // Written, but it never hears of it; the next try finds its own record in a version that it does not know.
    a.handle(Event::Failed, seconds(5));
    turn(&mut server, &mut b, seconds(5));
    turn(&mut server, &mut a, seconds(6));
    assert!(a.leads(seconds(6)));
    assert!(!b.leads(seconds(6)));
}

/// The record's own times do not matter, only how long one has watched it: a wall clock that jumps moves nothing.
#[test]
fn a_newcomer_waits_a_whole_lease_whatever_the_clocks_say() {
    let (mut server, mut a, mut b) = (Server::default(), claimant("a"), claimant("b"));
    turn(&mut server, &mut a, seconds(0));
    let far = seconds(1_000_000);
    turn(&mut server, &mut b, far);
    assert!(!b.leads(far));
    turn(&mut server, &mut b, far + seconds(14));
    assert!(!b.leads(far + seconds(14)));
    turn(&mut server, &mut b, far + seconds(15));
    assert!(b.leads(far + seconds(15)));
}

/// Random pauses and lost answers: never two at once, and never nobody for long while somebody runs.
#[test]
fn never_two() {
    for seed in 0..2_000_u64 {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = move |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below
        };
        let mut server = Server::default();
        let mut claimants = [claimant("a"), claimant("b"), claimant("c")];
        let mut paused_until = [0_u64; 3];
        for now in 0..200_u64 {
            for (index, it) in claimants.iter_mut().enumerate() {
                if now < paused_until[index] {
                    continue;
                }
                if next(20) == 0 {
                    paused_until[index] = now + next(40);
                }
                let action = it.handle(Event::Tick, seconds(now));
                let event = server.perform(&action, seconds(now));
                let event = if next(10) == 0 { Some(Event::Failed) } else { event };
                let action = event.map(|event| it.handle(event, seconds(now)));
                if let Some(event) = action.and_then(|it| server.perform(&it, seconds(now))) {
                    it.handle(event, seconds(now));
                }
            }
            let leaders = claimants.iter().filter(|it| it.leads(seconds(now))).count();
            assert!(leaders <= 1, "seed {seed}: {leaders} leaders at {now}");
        }
    }
}
