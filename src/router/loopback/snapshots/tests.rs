use super::*;

fn keeper(snapshots: &mut Snapshots, number: u32, open: usize) -> u32 {
    snapshots.keeper_for(number, open).expect("a keeper").0.0
}

#[test]
fn two_scans_of_one_statement_share_a_keeper() {
    let mut it = Snapshots::default();
    it.statement();
    assert_eq!(keeper(&mut it, 1, 0), 1);
    assert_eq!(keeper(&mut it, 2, 1), 1);
    // A nested loop declares its inner cursor again.
    it.closed(2);
    assert_eq!(keeper(&mut it, 2, 1), 1);
    // The executor opens a cursor of a lower number later.
    it.closed(1);
    assert_eq!(keeper(&mut it, 1, 1), 1);
}

#[test]
fn statements_of_a_function_one_after_another_have_their_own() {
    let mut it = Snapshots::default();
    assert_eq!(keeper(&mut it, 1, 0), 1);
    it.closed(1);
    let (second, retired) = it.keeper_for(2, 0).expect("a keeper");
    assert_eq!((second.0, retired.len()), (2, 0));
    it.opened(second, GroupId(1), 1);
    it.closed(2);
    let (third, retired) = it.keeper_for(3, 0).expect("a keeper");
    assert_eq!(third.0, 3);
    assert_eq!(retired, [Retired { keeper: second, group: GroupId(1), depth: 1 }]);
}

#[test]
fn one_statement_may_close_its_cursor_and_open_it_again() {
    let mut it = Snapshots::default();
    assert_eq!(keeper(&mut it, 2, 0), 1);
    it.closed(2);
    // c1 belongs to the same statement, although c2 was closed meanwhile.
    assert_eq!(keeper(&mut it, 1, 0), 1);
    assert_eq!(keeper(&mut it, 2, 1), 1);
}

#[test]
fn a_new_statement_while_a_cursor_of_the_client_is_open() {
    let mut it = Snapshots::default();
    it.statement();
    assert_eq!(keeper(&mut it, 1, 0), 1);
    it.statement();
    assert_eq!(keeper(&mut it, 2, 1), 2);
    assert_eq!(keeper(&mut it, 3, 2), 2);
    // The client's cursor goes on.
    assert_eq!(keeper(&mut it, 1, 2), 1);
}

#[test]
fn a_declared_portal_that_has_read_nothing_keeps_its_moment() {
    let mut it = Snapshots::default();
    it.statement();
    // DECLARE CURSOR took number 1 and 2 and opened nothing; the probe after it is number 3.
    let (held, _) = it.hold(3);
    assert_eq!(held, [KeeperId(1)]);
    it.opened(held[0], GroupId(1), 0);
    // The next statement reads with number 4.
    it.statement();
    assert_eq!(keeper(&mut it, 4, 0), 2);
    it.closed(4);
    // FETCH from the client's cursor opens number 2 only now.
    it.statement();
    assert_eq!(keeper(&mut it, 2, 0), 1);
    assert!(it.is_open(held[0], GroupId(1)));
}

#[test]
fn a_rolled_back_savepoint_takes_its_keepers_with_it() {
    let mut it = Snapshots::default();
    let (id, _) = it.keeper_for(1, 0).expect("a keeper");
    it.opened(id, GroupId(1), 2);
    it.opened(id, GroupId(2), 1);
    it.rolled_back(2);
    assert!(!it.is_open(id, GroupId(1)));
    assert!(it.is_open(id, GroupId(2)));
}

/// `UPDATE … SET v = (SELECT … FROM the same table WHERE …)`: c1 and c2 are its own, the probe is c3.
#[test]
fn a_statement_does_not_see_its_own_writes() {
    let mut it = Snapshots::default();
    it.boundary(3);
    assert_eq!(it.unopened(GroupId(1)), [KeeperId(1)]);
    let (id, _) = it.keeper_for(1, 0).expect("a keeper");
    assert_eq!(id.0, 1);
    it.opened(id, GroupId(1), 1);
    assert_eq!(it.unopened(GroupId(1)), []);
    it.wrote(None);
    for _ in 0..3 {
        assert_eq!(keeper(&mut it, 2, 1), 1);
        it.closed(2);
        it.wrote(None);
    }
    // What begins now sees them.
    assert_eq!(keeper(&mut it, 4, 1), 2);
}

/// `FOR r IN SELECT … LOOP UPDATE …; SELECT …; END LOOP`
#[test]
fn a_loop_needs_no_more_keepers_the_longer_it_runs() {
    let mut it = Snapshots::default();
    let (id, _) = it.keeper_for(1, 0).expect("a keeper");
    it.opened(id, GroupId(1), 1);
    for round in 1..1000 {
        it.boundary(2 * round);
        assert_eq!(it.unopened(GroupId(1)), []);
        it.wrote(None);
        let (next, _) = it.keeper_for(2 * round + 1, 1).expect("a keeper");
        assert_eq!(next.0, round + 1);
        it.opened(next, GroupId(1), 1);
        it.closed(2 * round + 1);
        assert!(it.past.len() <= 2);
    }
    assert_eq!(keeper(&mut it, 1, 0), 1);
}

#[test]
fn each_row_that_a_statement_writes_is_seen_by_the_functions_it_calls() {
    let mut it = Snapshots::default();
    // c1 is the target's scan, c2 the probe, c3 and c4 are read by a function called for each row.
    it.boundary(2);
    assert_eq!(keeper(&mut it, 1, 0), 1);
    assert_eq!(keeper(&mut it, 3, 1), 2);
    it.closed(3);
    it.wrote(None);
    assert_eq!(keeper(&mut it, 4, 1), 3);
}

#[test]
fn a_row_lock_of_an_older_statement_is_refused_after_a_write() {
    let mut it = Snapshots::default();
    assert!(it.is_newer_than_writes(1, TableOid(7)));
    it.boundary(2);
    assert!(it.is_newer_than_writes(1, TableOid(7)));
    it.wrote(None);
    assert!(!it.is_newer_than_writes(1, TableOid(7)));
    assert!(it.is_newer_than_writes(3, TableOid(7)));
}

#[test]
fn numbers_that_are_never_opened_cost_a_bounded_number_of_keepers() {
    let mut it = Snapshots::default();
    for round in 1..1000 {
        // One number is left out, the next one is the probe's.
        it.boundary(2 * round);
        it.wrote(None);
    }
    assert_eq!(it.past.len(), PAST);
    assert!(it.keeper_for(1, 0).is_err());
    it.statement();
    assert_eq!(it.past.len(), 0);
    assert!(it.keeper_for(1997, 0).is_err());
}
