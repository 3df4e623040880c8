//! Errors of workers in the client's terms: no shard in names, and positions in the client's own text.

use howdah_catalog::{Catalog, ShardId};
use howdah_pg::SqlState;
use howdah_pg::wire::{ErrorFields, Field};

/// Changes an error of `query`, which was made from the client's `text`.
pub(crate) fn for_client(fields: &mut ErrorFields, query: &str, text: &[u8], catalog: &Catalog) {
    take_shards_off(fields, catalog);
    let position = fields.position().and_then(|it| in_client_text(it, query, str::from_utf8(text).ok()?));
    match position {
        Some(position) => fields.set(Field::Position, position.to_string()),
        None => fields.remove(Field::Position),
    }
}

/// Changes an error of the coordinator, which may come from a worker by the loopback, or from our own SQL functions: where in
/// them it was raised is nothing to a client.
pub(crate) fn of_coordinator(fields: &mut ErrorFields, catalog: &Catalog) {
    take_shards_off(fields, catalog);
    if fields.get(Field::Where).is_some_and(|it| it.contains("PL/pgSQL function howdah.")) {
        fields.remove(Field::Where);
    }
    // postgres_fdw's own words for ON CONFLICT DO UPDATE.
    if fields.message() == "unexpected ON CONFLICT specification: 2" {
        fields.set_code(SqlState::FEATURE_NOT_SUPPORTED);
        fields
            .set(Field::Message, "cannot run ON CONFLICT DO UPDATE on a partitioned distributed table here");
        fields.set(Field::Hint, "Send the INSERT as a statement of its own, outside of functions.");
    }
}

/// Whether a server says that a shard is not where the catalog has it.
pub(crate) fn misses_shard(fields: &ErrorFields, catalog: &Catalog) -> bool {
    fields.code() == SqlState::UNDEFINED_TABLE && without_shards(&fields.message(), catalog).is_some()
}

fn take_shards_off(fields: &mut ErrorFields, catalog: &Catalog) {
    const NAMING: [Field; 6] =
        [Field::Message, Field::Detail, Field::Hint, Field::Where, Field::Table, Field::Constraint];
    for field in NAMING {
        if let Some(value) = fields.get(field)
            && let Some(cleaned) = without_shards(&value, catalog)
        {
            fields.set(field, cleaned);
        }
    }
}

/// The text with `_<shardid>` taken off names, and clipped names whole again; `None` if there was none.
pub(crate) fn without_shards(text: &str, catalog: &Catalog) -> Option<String> {
    let mut cleaned = String::new();
    let mut kept = 0;
    let bytes = text.as_bytes();
    for (at, _) in text.match_indices('_') {
        let digits = bytes[at + 1..].iter().take_while(|it| it.is_ascii_digit()).count();
        let end = at + 1 + digits;
        let ends_name = !bytes
            .get(end)
            .is_some_and(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'$' | 0x80..));
        let id = text[at + 1..end].parse().ok().map(ShardId);
        let Some((id, table)) =
            id.filter(|_| ends_name).and_then(|it| Some((it, catalog.table_of_shard(it)?)))
        else {
            continue;
        };
        match table.unclipped(&text[kept..end], id) {
            Some((length, name)) => {
                cleaned.push_str(&text[kept..end - length]);
                cleaned.push_str(name);
            }
            None => cleaned.push_str(&text[kept..at]),
        }
        kept = end;
    }
    if kept == 0 {
        return None;
    }
    cleaned.push_str(&text[kept..]);
    Some(cleaned)
}

/// Where in the client's text the character at `position` (from 1) of a worker's query comes from. Both agree
/// but for some names: the query's words are looked up one after the other.
pub(crate) fn in_client_text(position: usize, query: &str, text: &str) -> Option<usize> {
    let at = query.char_indices().nth(position.checked_sub(1)?)?.0;
    let word = word_at(query, at);
    // The how-manieth place of this word is it? Names that were spliced in do not hold the client's words.
    let number = occurrences(&query[..at], word);
    let place = places(text, word).nth(number)?;
    Some(text[..place].chars().count() + 1)
}

/// The word or sign that starts at a place.
fn word_at(text: &str, at: usize) -> &str {
    let rest = &text[at..];
    let is_word = |it: char| it.is_alphanumeric() || it == '_' || it == '$';
    let end = match rest.chars().next() {
        Some(first) if is_word(first) => rest.find(|it| !is_word(it)).unwrap_or(rest.len()),
        Some(first) => first.len_utf8(),
        None => 0,
    };
    &rest[..end]
}

fn occurrences(text: &str, word: &str) -> usize {
    places(text, word).count()
}

/// Where a word stands by itself.
fn places<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_word = |it: char| it.is_alphanumeric() || it == '_' || it == '$';
    let whole = word.chars().next().is_some_and(is_word);
    text.match_indices(word).map(|it| it.0).filter(move |at| {
        let before = text[..*at].chars().next_back().is_some_and(is_word);
        let after = text[at + word.len()..].chars().next().is_some_and(is_word);
        !word.is_empty() && (!whole || !(before || after))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_point_into_the_clients_text() {
        let text = "SELECT 1/0 FROM events WHERE id = 7 AND nothing = 1";
        let query = "SELECT 1/0 FROM public.events_102008 AS events WHERE id = 7 AND nothing = 1";
        let position = query.find("nothing").unwrap() + 1;
        assert_eq!(in_client_text(position, query, text), text.find("nothing").map(|it| it + 1));
        assert_eq!(in_client_text(8, query, text), Some(8));
        assert_eq!(in_client_text(400, query, text), None);
    }
}
