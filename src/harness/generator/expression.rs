//! Random expressions over the columns that are in scope.

use super::{Generator, Kind};

/// A column in scope, as it is written.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) text: String,
    pub(super) kind: Kind,
    /// Whether it is a distribution column, and of which colocation group.
    pub(super) key: Option<i32>,
}

impl Generator {
    /// An expression of a kind; `depth` more levels.
    pub(super) fn expression(&mut self, kind: Kind, columns: &[Column], depth: usize) -> String {
        let fitting: Vec<&Column> = columns.iter().filter(|it| it.kind == kind).collect();
        if depth == 0 || self.random.chance(45) {
            return match fitting.as_slice() {
                [] => self.constant(kind),
                _ if self.random.chance(12) => self.constant(kind),
                _ => self.random.pick(&fitting).text.clone(),
            };
        }
        let depth = depth - 1;
        match kind {
            Kind::Int => self.int_expression(columns, depth),
            Kind::Numeric => {
                let (a, b) =
                    (self.expression(kind, columns, depth), self.expression(Kind::Int, columns, depth));
                match self.random.below(4) {
                    0 => format!("({a} + {b})"),
                    1 => format!("({a} * 2)"),
                    2 => format!("coalesce({a}, 0)"),
                    _ => format!("round({a}, 1)"),
                }
            }
            Kind::Float => {
                let a = self.expression(kind, columns, depth);
                match self.random.below(3) {
                    0 => format!("({a} * 2)"),
                    1 => format!("coalesce({a}, 0)"),
                    _ => format!("({a} + {})", self.expression(kind, columns, depth)),
                }
            }
            Kind::Text => {
                let a = self.expression(kind, columns, depth);
                match self.random.below(6) {
                    0 => format!("upper({a})"),
                    1 => format!("({a} || 'z')"),
                    2 => format!("substr({a}, 1, 1)"),
                    3 => format!("coalesce({a}, 'none')"),
                    4 => format!("({})::text", self.expression(Kind::Int, columns, depth)),
                    _ => {
                        let (when, other) =
                            (self.condition(columns, depth), self.expression(kind, columns, depth));
                        format!("CASE WHEN {when} THEN {a} ELSE {other} END")
                    }
                }
            }
            Kind::Date => format!("({} + {})", self.expression(kind, columns, depth), self.random.below(3)),
            Kind::Bool => format!("({})", self.condition(columns, depth)),
            Kind::Opaque(_) => {
                let (a, when) = (self.expression(kind, columns, 0), self.condition(columns, 0));
                format!("CASE WHEN {when} THEN {a} END")
            }
        }
    }

    fn int_expression(&mut self, columns: &[Column], depth: usize) -> String {
        let (a, b) = (self.expression(Kind::Int, columns, depth), self.expression(Kind::Int, columns, depth));
        match self.random.below(9) {
            0 => format!("({a} + {b})"),
            1 => format!("({a} - {b})"),
            2 => format!("({a} * 2)"),
            3 => format!("({a} % 3)"),
            4 => format!("coalesce({a}, {b})"),
            5 => format!("nullif({a}, 1)"),
            6 => format!("abs({a})"),
            7 => format!("length({})", self.expression(Kind::Text, columns, depth)),
            _ => format!("CASE WHEN {} THEN {a} ELSE {b} END", self.condition(columns, depth)),
        }
    }

    pub(super) fn constant(&mut self, kind: Kind) -> String {
        let number = self.random.below(8);
        match kind {
            Kind::Int => number.to_string(),
            Kind::Numeric => format!("{number}.5"),
            Kind::Float => format!("{number}.25::float8"),
            Kind::Text => format!("'{}{}'", self.random.pick(&["a", "b", "c"]), number % 3),
            Kind::Date => format!("date '2024-01-0{}'", number + 1),
            Kind::Bool => (if number < 4 { "true" } else { "false" }).into(),
            Kind::Opaque(name) => format!("NULL::{name}"),
        }
    }

    /// A condition without subqueries.
    pub(super) fn condition(&mut self, columns: &[Column], depth: usize) -> String {
        let kind =
            *self.random.pick(&[Kind::Int, Kind::Int, Kind::Text, Kind::Numeric, Kind::Date, Kind::Float]);
        let a = self.expression(kind, columns, depth.min(1));
        match self.random.below(9) {
            0 => format!("{a} IS NULL"),
            1 => format!("{a} IS NOT NULL"),
            2 => {
                format!("{a} IN ({}, {}, {})", self.constant(kind), self.constant(kind), self.constant(kind))
            }
            3 => format!("{a} BETWEEN {} AND {}", self.constant(kind), self.constant(kind)),
            4 if 0 < depth => {
                format!("({} OR {})", self.condition(columns, depth - 1), self.condition(columns, depth - 1))
            }
            5 if 0 < depth => format!("NOT ({})", self.condition(columns, depth - 1)),
            6 => format!("{a} IS DISTINCT FROM {}", self.constant(kind)),
            _ => {
                let operator = *self.random.pick(&["=", "<>", "<", "<=", ">", ">="]);
                format!("{a} {operator} {}", self.expression(kind, columns, 1))
            }
        }
    }

    /// One of a type without arithmetic, now and then.
    fn opaque_aggregate(&mut self, columns: &[Column]) -> Option<(String, Kind)> {
        let opaque: Vec<(Kind, &'static str)> = columns
            .iter()
            .filter_map(|it| match it.kind {
                Kind::Opaque(name) => Some((it.kind, name)),
                _ => None,
            })
            .collect();
        if opaque.is_empty() || !self.random.chance(20) {
            return None;
        }
        let (kind, name) = *self.random.pick(&opaque);
        let value = self.expression(kind, columns, 1);
        Some(match (name, self.random.below(3)) {
            ("interval", 0) => (format!("avg({value})"), kind),
            ("interval", 1) => (format!("sum({value})"), kind),
            ("jsonb" | "uuid", _) | (_, 0) => (format!("count(DISTINCT {value})"), Kind::Int),
            _ => (format!("max({value})"), kind),
        })
    }

    /// An aggregate whose result does not depend on the order of rows.
    pub(super) fn aggregate(&mut self, columns: &[Column]) -> (String, Kind) {
        let number = *self.random.pick(&[Kind::Int, Kind::Int, Kind::Numeric, Kind::Float]);
        let kind = *self.random.pick(&[Kind::Int, Kind::Text, Kind::Date, Kind::Numeric, Kind::Float]);
        let (x, n) = (self.expression(kind, columns, 1), self.expression(number, columns, 1));
        if let Some(aggregate) = self.opaque_aggregate(columns) {
            return aggregate;
        }
        let distinct = if self.random.chance(20) { "DISTINCT " } else { "" };
        let (text, kind) = match self.random.below(14) {
            0 | 1 => ("count(*)".into(), Kind::Int),
            2 => (format!("count({distinct}{x})"), Kind::Int),
            3 => {
                let key = columns.iter().filter(|it| it.key.is_some()).map(|it| it.text.clone()).next();
                (format!("count(DISTINCT {})", key.unwrap_or(x)), Kind::Int)
            }
            4 | 5 => (format!("sum({distinct}{n})"), number),
            6 => (
                format!("avg({distinct}{n})"),
                if number == Kind::Float { Kind::Float } else { Kind::Numeric },
            ),
            7 | 8 => (format!("min({distinct}{x})"), kind),
            9 => (format!("max({x})"), kind),
            10 => (format!("bool_or({})", self.condition(columns, 0)), Kind::Bool),
            11 => (format!("every({})", self.condition(columns, 0)), Kind::Bool),
            12 => {
                let y = self.expression(Kind::Int, columns, 0);
                (format!("count(DISTINCT ({x}, {y}))"), Kind::Int)
            }
            _ => {
                let text = self.expression(Kind::Text, columns, 0);
                (format!("string_agg({distinct}{text}, ',' ORDER BY {text})"), Kind::Text)
            }
        };
        match self.random.chance(15) {
            true => (format!("{text} FILTER (WHERE {})", self.condition(columns, 0)), kind),
            false => (text, kind),
        }
    }
}
