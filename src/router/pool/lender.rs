//! The books of one pool: what is idle, what is lent, who waits. No IO, and the time comes from the caller.
//!
//! A server with few processors is fastest with few statements at a time: more of them only push each other out of its
//! caches. Therefore loans for one statement are counted, and beyond a limit the next one waits for an earlier one to end.
//! That must never hold up anybody for long: a loan that has not ended when somebody lost patience is no longer counted.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::quota::Quota;

/// What a connection is borrowed for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Term {
    /// One statement, most likely a short one: may wait for its turn.
    Statement,
    /// A transaction, or work of a size that nobody knows: at once, if there is a connection.
    Open,
}

/// How well an idle connection suits who asks for one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Rank {
    /// The more the better.
    Fit(u8),
    /// Better left to another.
    Reserved,
    /// Only to be closed, to make room.
    Unfit,
}

/// `C` is a connection, `G` what a waiter is sent.
pub(super) struct Lender<C, G> {
    /// The one used last comes last: the caches of its backend are the warmest.
    idle: Vec<Idle<C>>,
    loans: Vec<Loan>,
    /// How many loans are counted.
    counted: usize,
    max_counted: usize,
    waiting: VecDeque<Waiter<G>>,
    /// How many of the waiters do not wait for their turn, but for a connection.
    waiting_open: usize,
    next_id: u64,
    /// What was lent before leads to where the node no longer is.
    left: Option<Instant>,
}

struct Idle<C> {
    connection: C,
    since: Instant,
}

struct Loan {
    id: LoanId,
    since: Instant,
    counted: bool,
}

struct Waiter<G> {
    term: Term,
    sender: oneshot::Sender<G>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct LoanId(u64);

/// A loan: of a connection, or of the right to open one.
#[derive(Debug, PartialEq)]
pub(super) struct Lent<C> {
    pub(super) id: LoanId,
    pub(super) connection: Option<C>,
}

/// How long a loan for one statement is believed to be a short one.
pub(super) const PATIENCE: Duration = Duration::from_millis(4);

impl<C, G> Lender<C, G> {
    pub(super) fn new(max_counted: usize) -> Self {
        Self {
            idle: Vec::new(),
            loans: Vec::new(),
            counted: 0,
            max_counted: max_counted.max(1),
            waiting: VecDeque::new(),
            waiting_open: 0,
            next_id: 0,
            left: None,
        }
    }

    /// A loan at once, if nobody has to be waited for. Of the idle connections it is the one that fits best, and of those
    /// the one used last. The others are lent only if no other may be opened.
    pub(super) fn take(
        &mut self,
        term: Term,
        quota: &Quota,
        rank: impl Fn(&C) -> Rank,
        now: Instant,
    ) -> Option<Lent<C>> {
        let has_turn = match term {
            Term::Open => self.waiting_open == 0,
            Term::Statement => {
                if self.max_counted <= self.counted {
                    self.lose_patience(now);
                }
                self.waiting.is_empty() && self.counted < self.max_counted
            }
        };
        if !has_turn {
            return None;
        }
        let (best, last_resort) = self.choose(rank);
        self.lend(best, last_resort, term, quota, now)
    }

    /// A loan beyond the one that a session needs: nobody waits for it, nor is it what others wait for.
    pub(super) fn spare(
        &mut self,
        most: usize,
        quota: &Quota,
        rank: impl Fn(&C) -> Rank,
        now: Instant,
    ) -> Option<Lent<C>> {
        if most <= self.loans.len() || 0 < self.count_waiting() {
            return None;
        }
        let (best, last_resort) = self.choose(rank);
        self.lend(best, last_resort, Term::Open, quota, now)
    }

    /// What suits best, and what is taken if no connection may be opened: the reserve of longest ago, or what is to be closed.
    fn choose(&self, rank: impl Fn(&C) -> Rank) -> (Option<usize>, Option<usize>) {
        let (mut best, mut reserved) = (None, None);
        for (at, idle) in self.idle.iter().enumerate() {
            match rank(&idle.connection) {
                Rank::Fit(rank) => best = best.max(Some((rank, at))),
                Rank::Reserved => reserved = reserved.or(Some(at)),
                Rank::Unfit => {}
            }
        }
        (best.map(|it| it.1), reserved.or((!self.idle.is_empty()).then_some(0)))
    }

    fn lend(
        &mut self,
        best: Option<usize>,
        last_resort: Option<usize>,
        term: Term,
        quota: &Quota,
        now: Instant,
    ) -> Option<Lent<C>> {
        let connection = match best {
            Some(at) => Some(self.idle.remove(at).connection),
            None if quota.take() => None,
            None => Some(self.idle.remove(last_resort?).connection),
        };
        self.next_id += 1;
        let id = LoanId(self.next_id);
        let counted = term == Term::Statement;
        self.counted += usize::from(counted);
        self.loans.push(Loan { id, since: now, counted });
        Some(Lent { id, connection })
    }

    pub(super) fn wait(&mut self, term: Term, sender: oneshot::Sender<G>) {
        self.waiting_open += usize::from(term == Term::Open);
        self.waiting.push_back(Waiter { term, sender });
    }

    /// Waiters that are still there.
    pub(super) fn count_waiting(&mut self) -> usize {
        self.waiting.retain(|it| !it.sender.is_closed());
        self.waiting_open = self.waiting.iter().filter(|it| it.term == Term::Open).count();
        self.waiting.len()
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn has_lent(&self) -> bool {
        !self.loans.is_empty()
    }

    /// The waiter whose turn it is, and its loan.
    pub(super) fn next(&mut self, quota: &Quota, now: Instant) -> Option<(oneshot::Sender<G>, Lent<C>)> {
        loop {
            let at = match self.counted < self.max_counted {
                true => 0,
                false if self.waiting_open > 0 => self.waiting.iter().position(|it| it.term == Term::Open)?,
                false => return None,
            };
            let term = self.waiting.get(at)?.term;
            if self.waiting[at].sender.is_closed() {
                self.leave_queue(at);
                continue;
            }
            let lent = self.lend(self.idle.len().checked_sub(1), None, term, quota, now)?;
            return self.leave_queue(at).map(|it| (it.sender, lent));
        }
    }

    fn leave_queue(&mut self, at: usize) -> Option<Waiter<G>> {
        let waiter = self.waiting.remove(at)?;
        self.waiting_open -= usize::from(waiter.term == Term::Open);
        Some(waiter)
    }

    /// All that is idle; what is lent now is not to come back.
    pub(super) fn leave(&mut self, now: Instant) -> Vec<C> {
        self.left = Some(now);
        self.take_idle(Duration::ZERO, now)
    }

    pub(super) fn is_outdated(&self, id: LoanId) -> bool {
        let Some(left) = self.left else { return false };
        self.loans.iter().any(|it| it.id == id && it.since <= left)
    }

    /// The loan is over, whatever became of the connection.
    pub(super) fn end(&mut self, id: LoanId) {
        if let Some(at) = self.loans.iter().position(|it| it.id == id) {
            let loan = self.loans.swap_remove(at);
            self.counted -= usize::from(loan.counted);
        }
    }

    pub(super) fn put(&mut self, connection: C, now: Instant) {
        self.idle.push(Idle { connection, since: now });
    }

    /// No longer counts what has been lent for long.
    pub(super) fn lose_patience(&mut self, now: Instant) {
        for loan in self.loans.iter_mut().filter(|it| it.counted && it.since + PATIENCE <= now) {
            loan.counted = false;
            self.counted -= 1;
        }
    }

    /// Takes out what nobody has used for that long; of what was used at the same time, the oldest comes first.
    pub(super) fn take_idle(&mut self, unused: Duration, now: Instant) -> Vec<C> {
        let recent = self.idle.iter().position(|it| now.duration_since(it.since) < unused);
        let old = self.idle.drain(..recent.unwrap_or(self.idle.len()));
        old.map(|it| it.connection).collect()
    }

    pub(super) fn take_oldest(&mut self) -> Option<C> {
        (!self.idle.is_empty()).then(|| self.idle.remove(0).connection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Books = Lender<&'static str, ()>;

    fn take(books: &mut Books, term: Term, quota: &Quota, now: Instant) -> Option<Lent<&'static str>> {
        books.take(term, quota, |_| Rank::Fit(0), now)
    }

    #[test]
    fn statements_wait_for_their_turn_and_transactions_do_not() {
        let (quota, now) = (Quota::new(10), Instant::now());
        let mut books = Books::new(1);
        let first = take(&mut books, Term::Statement, &quota, now).unwrap();
        assert_eq!(take(&mut books, Term::Statement, &quota, now), None);
        assert!(take(&mut books, Term::Open, &quota, now).is_some());

        let (sender, _receiver) = oneshot::channel();
        books.wait(Term::Statement, sender);
        assert!(books.next(&quota, now).is_none());
        books.end(first.id);
        books.put("first", now);
        let (_, lent) = books.next(&quota, now).unwrap();
        assert_eq!(lent.connection, Some("first"));
        assert!(!books.has_waiting());
    }

    #[test]
    fn a_long_statement_holds_nobody_up() {
        let (quota, now) = (Quota::new(10), Instant::now());
        let mut books = Books::new(1);
        take(&mut books, Term::Statement, &quota, now).unwrap();
        let (sender, _receiver) = oneshot::channel();
        books.wait(Term::Statement, sender);
        books.lose_patience(now + PATIENCE / 2);
        assert!(books.next(&quota, now).is_none());
        books.lose_patience(now + PATIENCE);
        assert!(books.next(&quota, now).is_some());
    }

    #[test]
    fn who_waits_for_a_connection_is_not_held_up_by_who_waits_for_a_turn() {
        let (quota, now) = (Quota::new(2), Instant::now());
        let mut books = Books::new(1);
        take(&mut books, Term::Statement, &quota, now).unwrap();
        let open = take(&mut books, Term::Open, &quota, now).unwrap();
        let (sender, _first) = oneshot::channel();
        books.wait(Term::Statement, sender);
        let (sender, mut second) = oneshot::channel();
        books.wait(Term::Open, sender);
        books.end(open.id);
        books.put("it", now);
        let (sender, _) = books.next(&quota, now).unwrap();
        sender.send(()).unwrap();
        assert!(second.try_recv().is_ok());
    }

    #[test]
    fn who_has_left_gets_nothing() {
        let (quota, now) = (Quota::new(1), Instant::now());
        let mut books = Books::new(1);
        let first = take(&mut books, Term::Open, &quota, now).unwrap();
        for _ in 0..3 {
            books.wait(Term::Open, oneshot::channel().0);
        }
        assert_eq!(books.count_waiting(), 0);
        books.wait(Term::Open, oneshot::channel().0);
        books.end(first.id);
        books.put("it", now);
        assert!(books.next(&quota, now).is_none());
        assert!(take(&mut books, Term::Open, &quota, now).is_some());
    }

    #[test]
    fn the_warmest_of_the_best_is_lent() {
        let (quota, now) = (Quota::new(9), Instant::now());
        let mut books = Books::new(9);
        for connection in ["a1", "b1", "a2", "b2"] {
            books.put(connection, now);
        }
        let best =
            books.take(Term::Open, &quota, |it| Rank::Fit(u8::from(it.starts_with('a'))), now).unwrap();
        assert_eq!(best.connection, Some("a2"));
        assert_eq!(books.take_idle(Duration::ZERO, now), ["a1", "b1", "b2"]);
    }
    #[test]
    fn what_suits_nobody_is_lent_only_at_the_limit() {
        let (quota, now) = (Quota::new(2), Instant::now());
        let mut books = Books::new(9);
        assert!(quota.take());
        books.put("used", now);
        let unfit = |_: &&str| Rank::Unfit;
        assert_eq!(books.take(Term::Open, &quota, unfit, now).unwrap().connection, None);
        assert_eq!(books.take(Term::Open, &quota, unfit, now).unwrap().connection, Some("used"));
    }

    #[test]
    fn the_reserve_of_longest_ago_is_lent_at_the_limit() {
        let (quota, now) = (Quota::new(1), Instant::now());
        let mut books = Books::new(9);
        ["unfit", "old", "new"].iter().for_each(|it| books.put(it, now));
        let rank = |it: &&str| if *it == "unfit" { Rank::Unfit } else { Rank::Reserved };
        assert_eq!(books.take(Term::Open, &quota, rank, now).unwrap().connection, None);
        assert_eq!(books.take(Term::Open, &quota, rank, now).unwrap().connection, Some("old"));
    }
}
