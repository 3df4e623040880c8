//! A plan in words: for EXPLAIN and for tests.

use std::fmt::Write;

use howdah_catalog::{Catalog, TableOid, TypeOid};

use crate::{
    Bound, Combine, CombinePiece, InsertSelect, InsertValues, KeySource, Merge, MultiShard, Piece, Plan,
    Planned, ShardKey, SingleShard, SlotParameter, Template,
};

/// The lines of EXPLAIN that say how a statement is going to run, without the workers' own plans.
pub fn explain(planned: &Planned, catalog: &Catalog) -> Vec<String> {
    let mut lines = Lines { lines: Vec::new(), catalog };
    lines.lines.push(match &planned.plan {
        Plan::Coordinator { writes: true } => {
            format!("{} on the coordinator, may write", planned.rung.name())
        }
        Plan::Coordinator { writes: false } => format!("{} on the coordinator", planned.rung.name()),
        _ => planned.rung.name().to_owned(),
    });
    for (rung, reason) in &planned.reasons {
        lines.push(&format!("not {}: {reason}", rung.name()));
    }
    match &planned.plan {
        Plan::Coordinator { .. } => {}
        Plan::SingleShard(it) => lines.single_shard(it),
        Plan::MultiShard(it) => lines.multi_shard(it),
        Plan::InsertValues(it) => lines.insert_values(it),
        Plan::InsertSelect(it) => lines.insert_select(it),
    }
    lines.lines
}

struct Lines<'c> {
    lines: Vec<String>,
    catalog: &'c Catalog,
}

impl Lines<'_> {
    fn push(&mut self, line: &str) {
        self.lines.push(format!("  {line}"));
    }

    fn single_shard(&mut self, it: &SingleShard) {
        let keys: Vec<_> = it.keys.iter().map(key).collect();
        self.push(&format!("one shard group of {}, key {}", self.table(it.anchor), keys.join(" and ")));
        self.push(&format!("query: {}", self.template(&it.template)));
        if let Some(parameters) = it.parameters.as_deref().filter(|it| !it.is_empty()) {
            let parameters: Vec<_> = parameters.iter().map(|it| parameter(*it)).collect();
            self.push(&format!("parameters: {}", parameters.join(", ")));
        }
    }

    fn multi_shard(&mut self, it: &MultiShard) {
        let all = self.catalog.table(it.anchor).map_or(0, |it| it.shards().len());
        self.push(&format!("shard groups of {}: {} of {all}", self.table(it.anchor), it.shards.len()));
        self.push(&format!("query: {}", self.template(&it.template)));
        match &it.merge {
            Merge::Concat { limit, offset } => {
                self.push(&format!("merge: all rows{}", bounds(limit, offset)))
            }
            Merge::Ordered { keys, output_columns, limit, offset, .. } => {
                let keys: Vec<_> = keys.iter().map(sort_key).collect();
                let bounds = bounds(limit, offset);
                self.push(&format!(
                    "merge: in order of {}, {output_columns} columns{bounds}",
                    keys.join(", ")
                ));
            }
            Merge::Combine(it) => self.push(&format!("merge: {}", combine(it))),
            Merge::Modified => self.push("merge: sum of the counts"),
        }
    }

    fn insert_values(&mut self, it: &InsertValues) {
        self.push(&format!("insert: {}", self.template(&it.prefix)));
        for row in &it.rows {
            self.push(&format!("row: {}, key {}", self.template(&row.template), key(&row.key)));
        }
        if !it.suffix.is_empty() {
            self.push(&format!("then:{}", self.template(&it.suffix)));
        }
        for (index, value) in it.values.iter().enumerate() {
            self.push(&format!("value {index}: {}", self.template(&value.expression)));
        }
    }

    fn insert_select(&mut self, it: &InsertSelect) {
        self.push(&format!("source: {}", it.source.written.query));
        for line in explain(&it.source.written.planned, self.catalog) {
            self.push(&format!("  {line}"));
        }
        self.push(&format!("insert: {}, key is value {}", self.template(&it.prefix).trim_end(), it.key));
        if !it.suffix.is_empty() {
            self.push(&format!("then:{}", self.template(&it.suffix)));
        }
        for it in &it.computed {
            self.push(&format!("computed: {} = {}", it.column.name, self.template(&it.expression)));
        }
    }

    fn table(&self, oid: TableOid) -> String {
        self.catalog.table(oid).map_or_else(|| oid.to_string(), |it| it.name.clone())
    }

    fn template(&self, template: &Template) -> String {
        let mut text = String::new();
        for piece in &template.0 {
            // Writing to a string never fails.
            let _ = match piece {
                Piece::Text(it) => write!(text, "{it}"),
                Piece::Literal(it) => write!(text, "<literal {it}>"),
                Piece::Shard(it) => write!(text, "<{}>", self.table(*it)),
                Piece::ShardObject { name, .. } => write!(text, "<shard's {name}>"),
                Piece::TransactionTime => write!(text, "<time>"),
                Piece::Value(it) => write!(text, "<value {it}>"),
            };
        }
        text
    }
}

fn parameter(it: SlotParameter) -> String {
    let name = match it.type_oid {
        TypeOid::INT4 => " as int4",
        TypeOid::INT8 => " as int8",
        TypeOid::NUMERIC => " as numeric",
        _ => "",
    };
    format!("literal {}{name}", it.slot)
}

fn key(key: &ShardKey) -> String {
    match &key.source {
        KeySource::Parameter(it) => format!("${it}"),
        KeySource::Literal { slot, negated: false } => format!("literal {slot}"),
        KeySource::Literal { slot, negated: true } => format!("- literal {slot}"),
        KeySource::Constant(it) => format!("'{it}'"),
        KeySource::Value(it) => format!("value {it}"),
    }
}

fn bounds(limit: &Option<Bound>, offset: &Option<Bound>) -> String {
    let bound = |word: &str, it: &Option<Bound>| match it {
        None => String::new(),
        Some(Bound::Constant(it)) => format!(", {word} {it}"),
        Some(Bound::Parameter(it)) => format!(", {word} ${it}"),
    };
    format!("{}{}", bound("limit", limit), bound("offset", offset))
}

fn sort_key(key: &crate::SortKey) -> String {
    let direction = if key.descending { " desc" } else { "" };
    let nulls = if key.nulls_first == key.descending {
        ""
    } else if key.nulls_first {
        " nulls first"
    } else {
        " nulls last"
    };
    format!("column {}{direction}{nulls}", key.column + 1)
}

fn combine(combine: &Combine) -> String {
    let pieces = combine.query.iter().map(|it| match it {
        CombinePiece::Text(it) => it.clone(),
        CombinePiece::TypeOf(it) => format!("<type of c{it}>"),
    });
    pieces.collect()
}
