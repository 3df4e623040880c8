//! Whether two servers answered a random SELECT alike.

use crate::client::Reply;

const NUMERIC: u32 = 1700;

/// What differs between two replies, if anything. Rows without an order are compared as a bag. Numbers are equal
/// whatever zeros they end with: which of several equal ones stands for a group is open.
pub fn difference(expected: &Reply, actual: &Reply, ordered: bool) -> Option<String> {
    let error = |it: &Reply| it.error.as_ref().map(|it| (it.sqlstate.clone(), it.message.clone()));
    match (error(expected), error(actual)) {
        (None, None) => {}
        (Some(a), Some(b)) if a.0 == b.0 => return None,
        (a, b) => return Some(format!("error {a:?}, then {b:?}")),
    }
    let types = |it: &Reply| it.columns.iter().map(|it| it.type_oid).collect::<Vec<_>>();
    if types(expected) != types(actual) {
        return Some(format!("types {:?}, then {:?}", types(expected), types(actual)));
    }
    let (expected, actual) = (rows(expected, ordered), rows(actual, ordered));
    if expected == actual {
        return None;
    }
    let first = expected.iter().zip(&actual).find(|(a, b)| a != b);
    Some(format!("{} rows, then {}; first difference {first:?}", expected.len(), actual.len()))
}

fn rows(reply: &Reply, ordered: bool) -> Vec<Vec<Option<String>>> {
    let mut rows = reply.rows.clone();
    for row in &mut rows {
        row.iter_mut()
            .zip(&reply.columns)
            .filter(|it| it.1.type_oid == NUMERIC)
            .for_each(|it| without_zeros(it.0));
    }
    if !ordered {
        rows.sort();
    }
    rows
}

fn without_zeros(value: &mut Option<String>) {
    if let Some(text) = value.as_mut().filter(|it| it.contains('.')) {
        let kept = text.trim_end_matches('0').trim_end_matches('.').len();
        text.truncate(kept);
    }
}
