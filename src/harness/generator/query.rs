//! Random queries: FROM lists that mostly join on the distribution column, and what stands above them.

use super::expression::Column;
use super::{Generator, Kind, Placement, TABLES};

/// A relation in FROM.
struct Source {
    text: String,
    columns: Vec<Column>,
}

/// A query without ORDER BY, and its output columns.
struct Query {
    text: String,
    output: Vec<(String, Kind)>,
    /// Index of an output column that is a distribution column, and its colocation group.
    key: Option<(usize, i32)>,
}

impl Generator {
    /// The text, and whether its rows come in a total order.
    pub(super) fn statement(&mut self) -> (String, bool) {
        let query = match self.random.below(10) {
            0 => self.set_operation(),
            1 => self.with_query(),
            _ => self.select(&[], 2),
        };
        self.ordered(query)
    }

    fn ordered(&mut self, query: Query) -> (String, bool) {
        if self.random.chance(55) {
            return (query.text, false);
        }
        let direction = |it: &mut Self| *it.random.pick(&["", " DESC", " NULLS FIRST", " DESC NULLS LAST"]);
        let mut order: Vec<usize> = (1..=query.output.len()).collect();
        let first = self.random.below(order.len());
        order.swap(0, first);
        let order: Vec<String> = order.into_iter().map(|it| format!("{it}{}", direction(self))).collect();
        let mut text = format!("{} ORDER BY {}", query.text, order.join(", "));
        if self.random.chance(50) {
            text.push_str(&format!(" LIMIT {}", self.random.below(12)));
        }
        if self.random.chance(20) {
            text.push_str(&format!(" OFFSET {}", self.random.below(5)));
        }
        (text, true)
    }

    fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("x{}", self.aliases)
    }

    /// A table, or a subquery in FROM. `colocation`: the group that is wanted, most of the time.
    fn source(&mut self, colocation: i32, depth: usize) -> Source {
        let alias = self.alias();
        if 0 < depth && self.random.chance(22) {
            let query = self.select(&[], depth - 1);
            let columns = self.output_columns(&alias, &query);
            return Source { text: format!("({}) AS {alias}", query.text), columns };
        }
        if self.random.chance(3) {
            let columns = vec![Column { text: format!("{alias}.v"), kind: Kind::Int, key: None }];
            return Source { text: format!("generate_series(1, 5) AS {alias}(v)"), columns };
        }
        let wanted = Placement::Hash(colocation);
        let placement = match self.random.below(20) {
            0 => Placement::Hash(3 - colocation),
            1..=4 => Placement::Reference,
            _ => wanted,
        };
        let tables: Vec<_> = TABLES.iter().filter(|it| it.placement == placement).collect();
        let table = **self.random.pick(&tables);
        let columns = table.typed_columns().into_iter().enumerate().map(|(index, (name, kind))| Column {
            text: format!("{alias}.{name}"),
            kind,
            key: match table.placement {
                Placement::Hash(group) if index == 0 => Some(group),
                _ => None,
            },
        });
        Source { text: format!("{} AS {alias}", table.name), columns: columns.collect() }
    }

    fn output_columns(&self, alias: &str, query: &Query) -> Vec<Column> {
        let column = |(index, (name, kind)): (usize, &(String, Kind))| Column {
            text: format!("{alias}.{name}"),
            kind: *kind,
            key: query.key.filter(|it| it.0 == index).map(|it| it.1),
        };
        query.output.iter().enumerate().map(column).collect()
    }

    /// FROM with zero to two joins.
    fn from(&mut self, depth: usize) -> Source {
        let colocation = if self.random.chance(85) { 1 } else { 2 };
        let mut from = self.source(colocation, depth);
        for _ in 0..*self.random.pick(&[0, 0, 0, 1, 1, 2]) {
            if self.random.chance(8) {
                from = self.lateral(from, depth);
                continue;
            }
            let next = self.source(colocation, depth);
            let join = *self.random.pick(&[
                "JOIN",
                "JOIN",
                "JOIN",
                "LEFT JOIN",
                "LEFT JOIN",
                "RIGHT JOIN",
                "FULL JOIN",
            ]);
            let on = self.join_condition(&from.columns, &next.columns, join == "FULL JOIN");
            let columns = from.columns.into_iter().chain(next.columns).collect();
            from = Source { text: format!("{} {join} {} ON {on}", from.text, next.text), columns };
        }
        from
    }

    fn lateral(&mut self, from: Source, depth: usize) -> Source {
        let query = self.select(&from.columns, depth.min(1));
        let alias = self.alias();
        let columns = self.output_columns(&alias, &query);
        let kind = *self.random.pick(&["CROSS JOIN LATERAL", "LEFT JOIN LATERAL"]);
        let on = if kind.starts_with("LEFT") { " ON true" } else { "" };
        let text = format!("{} {kind} ({}) AS {alias}{on}", from.text, query.text);
        Source { text, columns: from.columns.into_iter().chain(columns).collect() }
    }

    fn join_condition(&mut self, left: &[Column], right: &[Column], hashable: bool) -> String {
        let keys = |columns: &[Column]| -> Vec<Column> {
            columns.iter().filter(|it| it.key.is_some()).cloned().collect()
        };
        let (left_keys, right_keys) = (keys(left), keys(right));
        let mut conditions = Vec::new();
        if !left_keys.is_empty() && !right_keys.is_empty() && self.random.chance(85) {
            let (a, b) = (self.random.pick(&left_keys).clone(), self.random.pick(&right_keys).clone());
            if a.kind == b.kind {
                conditions.push(format!("{} = {}", a.text, b.text));
            }
        }
        if conditions.is_empty() || self.random.chance(25) {
            let ints = |columns: &[Column]| -> Vec<Column> {
                columns.iter().filter(|it| it.kind == Kind::Int).cloned().collect()
            };
            let (a, b) = (ints(left), ints(right));
            if !a.is_empty() && !b.is_empty() {
                conditions.push(format!("{} = {}", self.random.pick(&a).text, self.random.pick(&b).text));
            }
        }
        if conditions.is_empty() {
            return "true".into();
        }
        if !hashable && self.random.chance(20) {
            let all: Vec<Column> = left.iter().chain(right).cloned().collect();
            conditions.push(self.condition(&all, 0));
        }
        conditions.join(" AND ")
    }

    fn where_clause(&mut self, columns: &[Column], outer: &[Column], depth: usize) -> String {
        let mut conditions = Vec::new();
        if !outer.is_empty() {
            conditions.push(self.join_condition(columns, outer, false));
        }
        for _ in 0..*self.random.pick(&[0, 0, 1, 1, 2]) {
            conditions.push(match 0 < depth && self.random.chance(25) {
                true => self.subquery_condition(columns, depth - 1),
                false => self.condition(columns, 1),
            });
        }
        if let Some(key) = columns.iter().find(|it| it.key == Some(1))
            && self.random.chance(10)
        {
            conditions.push(format!(
                "{} IN ({}, {})",
                key.text,
                self.random.below(20),
                self.random.below(20)
            ));
        }
        if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) }
    }

    fn subquery_condition(&mut self, columns: &[Column], depth: usize) -> String {
        let keys: Vec<Column> = columns.iter().filter(|it| it.key.is_some()).cloned().collect();
        let inner = self.source(1, 0);
        let not = *self.random.pick(&["", "", "NOT "]);
        let inner_keys: Vec<Column> = inner.columns.iter().filter(|it| it.key.is_some()).cloned().collect();
        let tested = match keys.is_empty() || self.random.chance(30) {
            true => columns.iter().find(|it| it.kind == Kind::Int).cloned(),
            false => Some(self.random.pick(&keys).clone()),
        };
        let extra = self.condition(&inner.columns, 0);
        match (self.random.below(4), tested) {
            (0 | 1, Some(tested)) if tested.kind == Kind::Int => {
                let target = inner_keys.iter().find(|it| it.kind == Kind::Int);
                let target = target
                    .map_or_else(|| self.expression(Kind::Int, &inner.columns, 0), |it| it.text.clone());
                format!("{} {not}IN (SELECT {target} FROM {} WHERE {extra})", tested.text, inner.text)
            }
            (2, _) => {
                let correlated = self.where_clause(&inner.columns, columns, depth.min(1));
                format!("{not}EXISTS (SELECT 1 FROM {}{correlated})", inner.text)
            }
            _ => {
                let value = self.expression(Kind::Int, columns, 0);
                let correlated = self.where_clause(&inner.columns, columns, 0);
                let target = self.expression(Kind::Int, &inner.columns, 0);
                format!("{value} >= (SELECT min({target}) FROM {}{correlated})", inner.text)
            }
        }
    }

    /// One SELECT. `outer`: columns of a row around it that it is to be correlated with.
    fn select(&mut self, outer: &[Column], depth: usize) -> Query {
        let from = self.from(depth.saturating_sub(1).max(usize::from(depth == 2)));
        let where_clause = self.where_clause(&from.columns, outer, depth);
        let rest = format!(" FROM {}{where_clause}", from.text);
        match self.random.below(10) {
            0..=2 => self.plain(&from.columns, &rest),
            3 => self.distinct(&from.columns, &rest),
            4 => self.windows(&from.columns, &rest),
            _ => self.grouped(&from.columns, &rest),
        }
    }

    fn plain(&mut self, columns: &[Column], rest: &str) -> Query {
        let mut targets: Vec<(String, Kind)> = Vec::new();
        let key = self.key_target(columns, &mut targets, 60);
        for _ in 0..1 + self.random.below(3) {
            let kind = *self.random.pick(&[
                Kind::Int,
                Kind::Text,
                Kind::Numeric,
                Kind::Date,
                Kind::Bool,
                Kind::Float,
            ]);
            targets.push((self.expression(kind, columns, 2), kind));
        }
        self.opaque_target(columns, &mut targets, 25);
        finish("SELECT", targets, rest, "", key)
    }

    fn key_target(
        &mut self,
        columns: &[Column],
        targets: &mut Vec<(String, Kind)>,
        percent: usize,
    ) -> Option<(usize, i32)> {
        let keys: Vec<Column> = columns.iter().filter(|it| it.key.is_some()).cloned().collect();
        if keys.is_empty() || !self.random.chance(percent) {
            return None;
        }
        let key = self.random.pick(&keys).clone();
        targets.push((key.text, key.kind));
        key.key.map(|it| (targets.len() - 1, it))
    }

    /// A column of one of the types without arithmetic, if there is one.
    fn opaque_target(&mut self, columns: &[Column], targets: &mut Vec<(String, Kind)>, percent: usize) {
        let opaque: Vec<Kind> =
            columns.iter().map(|it| it.kind).filter(|it| matches!(it, Kind::Opaque(_))).collect();
        if !opaque.is_empty() && self.random.chance(percent) {
            let kind = *self.random.pick(&opaque);
            targets.push((self.expression(kind, columns, 1), kind));
        }
    }

    fn distinct(&mut self, columns: &[Column], rest: &str) -> Query {
        let mut query = self.plain(columns, rest);
        query.text.insert_str("SELECT".len(), " DISTINCT");
        query
    }

    fn windows(&mut self, columns: &[Column], rest: &str) -> Query {
        let mut targets = Vec::new();
        let key = self.key_target(columns, &mut targets, 70);
        targets.push((self.expression(Kind::Int, columns, 1), Kind::Int));
        let partition = match key {
            Some(_) if self.random.chance(75) => targets[0].0.clone(),
            _ => self.expression(Kind::Int, columns, 0),
        };
        let order = self.expression(Kind::Int, columns, 0);
        let call = match self.random.below(4) {
            0 => format!("rank() OVER (PARTITION BY {partition} ORDER BY {order})"),
            1 => format!("count(*) OVER (PARTITION BY {partition})"),
            2 => format!(
                "sum({}) OVER (PARTITION BY {partition} ORDER BY {order})",
                self.expression(Kind::Int, columns, 0)
            ),
            _ => format!("dense_rank() OVER (PARTITION BY {partition} ORDER BY {order} DESC)"),
        };
        targets.push((call, Kind::Int));
        finish("SELECT", targets, rest, "", key)
    }

    fn grouped(&mut self, columns: &[Column], rest: &str) -> Query {
        let mut targets = Vec::new();
        let key = self.key_target(columns, &mut targets, 35);
        for _ in 0..*self.random.pick(&[0, 1, 1, 2]) {
            let kind = *self.random.pick(&[Kind::Int, Kind::Text, Kind::Date, Kind::Bool]);
            targets.push((self.expression(kind, columns, 1), kind));
        }
        self.opaque_target(columns, &mut targets, 15);
        let groups = targets.len();
        for _ in 0..1 + self.random.below(3) {
            let (text, kind) = self.aggregate(columns);
            let text = match (kind, self.random.below(6)) {
                (Kind::Int, 0) => format!("{text} + 1"),
                (Kind::Int, 1) => format!("{text} / 2"),
                (Kind::Int | Kind::Numeric, 2) => format!("coalesce({text}, 0)"),
                (Kind::Int, 3) if self.random.chance(30) => format!("rank() OVER (ORDER BY {text})"),
                _ => text,
            };
            targets.push((text, kind));
        }
        let mut tail = String::new();
        if 0 < groups {
            let list = match self.random.below(3) {
                0 => (1..=groups).map(|it| it.to_string()).collect::<Vec<_>>(),
                1 => (1..=groups).map(|it| format!("o{it}")).collect(),
                _ => targets[..groups].iter().map(|it| group_expression(&it.0)).collect(),
            };
            let list = list.join(", ");
            // What PostgreSQL folds to a constant is not NULL in the other sets before release 18.
            let plain = targets[..groups].iter().all(|it| it.0.starts_with('x') && !it.0.contains(' '));
            tail = match self.random.below(if plain { 6 } else { 0 }.max(1)) + if plain { 0 } else { 2 } {
                0 => format!(" GROUP BY ROLLUP ({list})"),
                1 => format!(" GROUP BY GROUPING SETS (({list}), ())"),
                _ => format!(" GROUP BY {list}"),
            };
        }
        let nullable = tail.contains("ROLLUP") || tail.contains("SETS");
        if self.random.chance(25) {
            let (aggregate, _) = ("count(*)".to_owned(), Kind::Int);
            tail.push_str(&format!(" HAVING {aggregate} > {}", self.random.below(4)));
        }
        let select = if self.random.chance(7) { "SELECT DISTINCT" } else { "SELECT" };
        finish(select, targets, rest, &tail, key.filter(|_| !nullable))
    }

    fn set_operation(&mut self) -> Query {
        let operation =
            *self.random.pick(&["UNION", "UNION", "UNION ALL", "UNION ALL", "INTERSECT", "EXCEPT"]);
        let branch = |it: &mut Self| {
            let from = it.from(1);
            let mut targets = Vec::new();
            let keys: Vec<Column> = from.columns.iter().filter(|it| it.key == Some(1)).cloned().collect();
            let key = keys.first().filter(|_| it.random.chance(80)).cloned();
            let first = key.clone().map_or_else(|| it.expression(Kind::Int, &from.columns, 1), |it| it.text);
            targets.push((first, Kind::Int));
            targets.push((it.expression(Kind::Text, &from.columns, 1), Kind::Text));
            let where_clause = it.where_clause(&from.columns, &[], 1);
            finish("SELECT", targets, &format!(" FROM {}{where_clause}", from.text), "", key.map(|_| (0, 1)))
        };
        let (a, b) = (branch(self), branch(self));
        let key = a.key.filter(|_| b.key.is_some());
        Query { text: format!("{} {operation} {}", a.text, b.text), output: a.output, key }
    }

    fn with_query(&mut self) -> Query {
        let cte = self.select(&[], 1);
        let other = self.source(1, 0);
        let alias = self.alias();
        let mut columns = self.output_columns(&alias, &cte);
        let mut from = format!("w AS {alias}");
        if self.random.chance(60) {
            let on = self.join_condition(&columns, &other.columns, false);
            from = format!("{from} JOIN {} ON {on}", other.text);
            columns.extend(other.columns);
        }
        let where_clause = self.where_clause(&columns, &[], 0);
        let rest = format!(" FROM {from}{where_clause}");
        let query = match self.random.below(2) {
            0 => self.plain(&columns, &rest),
            _ => self.grouped(&columns, &rest),
        };
        Query { text: format!("WITH w AS ({}) {}", cte.text, query.text), ..query }
    }
}

/// Constants in GROUP BY would be taken for positions.
fn group_expression(text: &str) -> String {
    if text.starts_with(|it: char| it.is_ascii_digit())
        || text.starts_with('\'')
        || text == "true"
        || text == "false"
    {
        return format!("(({text}) IS NULL)");
    }
    text.to_owned()
}

fn finish(
    select: &str,
    targets: Vec<(String, Kind)>,
    rest: &str,
    tail: &str,
    key: Option<(usize, i32)>,
) -> Query {
    let list: Vec<String> = targets.iter().zip(1..).map(|((text, _), n)| format!("{text} AS o{n}")).collect();
    let text = format!("{select} {}{rest}{tail}", list.join(", "));
    let output = targets.into_iter().zip(1..).map(|((_, kind), n)| (format!("o{n}"), kind)).collect();
    Query { text, output, key }
}
