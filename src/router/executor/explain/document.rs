//! What EXPLAIN answers in the formats for programs: a tree, read from a server's JSON, written as `explain.c` writes it.

use std::fmt::Write;

use crate::error::{Error, Result};

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Value {
    /// A token of JSON, as it was: a string with its quotes, a number, a boolean.
    Scalar(String),
    List(Vec<Value>),
    /// In the order of the server.
    Object(Vec<(String, Value)>),
}

impl Value {
    pub(super) fn string(text: impl AsRef<str>) -> Self {
        Self::Scalar(serde_json::Value::from(text.as_ref()).to_string())
    }

    pub(super) fn strings(texts: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        Self::List(texts.into_iter().map(Self::string).collect())
    }

    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut reader = Reader { rest: text };
        reader.value().ok_or_else(|| Error::Internal("a server's plan cannot be read".to_owned()))
    }

    /// Takes a member out of an object.
    pub(super) fn take(&mut self, name: &str) -> Option<Self> {
        let Self::Object(members) = self else { return None };
        let at = members.iter().position(|it| it.0 == name)?;
        Some(members.remove(at).1)
    }

    pub(super) fn number(&self, name: &str) -> Option<f64> {
        let Self::Object(members) = self else { return None };
        match members.iter().find(|it| it.0 == name) {
            Some((_, Self::Scalar(token))) => token.parse().ok(),
            _ => None,
        }
    }

    pub(super) fn to_json(&self) -> String {
        let mut to = String::new();
        self.put_json(0, &mut to);
        to
    }

    fn put_json(&self, depth: usize, to: &mut String) {
        let (open, close, parts): (_, _, Vec<(Option<&str>, &Self)>) = match self {
            Self::Scalar(token) => return to.push_str(token),
            Self::List(items) => ('[', ']', items.iter().map(|it| (None, it)).collect()),
            Self::Object(members) => ('{', '}', members.iter().map(|it| (Some(&*it.0), &it.1)).collect()),
        };
        to.push(open);
        for (number, (name, value)) in parts.iter().enumerate() {
            to.push_str(if number == 0 { "\n" } else { ",\n" });
            indent(depth + 1, to);
            if let Some(name) = name {
                let _ = write!(to, "{}: ", serde_json::Value::from(*name));
            }
            value.put_json(depth + 1, to);
        }
        if !parts.is_empty() {
            to.push('\n');
            indent(depth, to);
        }
        to.push(close);
    }

    pub(super) fn to_yaml(&self) -> String {
        let mut to = String::new();
        self.put_yaml(0, &mut to);
        to.trim_start_matches('\n').to_owned()
    }

    /// Behind `name:` or `-`.
    fn put_yaml(&self, depth: usize, to: &mut String) {
        match self {
            Self::Scalar(token) => to.push_str(token),
            Self::List(items) if items.is_empty() => to.push_str("[]"),
            Self::Object(members) if members.is_empty() => to.push_str("{}"),
            Self::List(items) => items.iter().for_each(|it| {
                to.push('\n');
                indent(depth, to);
                to.push_str("- ");
                it.put_yaml(depth + 1, to);
            }),
            Self::Object(members) => members.iter().enumerate().for_each(|(number, (name, value))| {
                // The first stands behind the dash of its list.
                if number > 0 || !to.ends_with("- ") {
                    to.push('\n');
                    indent(depth, to);
                }
                let _ = write!(to, "{name}: ");
                value.put_yaml(depth + 1, to);
            }),
        }
    }

    pub(super) fn to_xml(&self) -> String {
        let mut to = String::from("<explain xmlns=\"http://www.postgresql.org/2009/explain\">\n");
        let queries = match self {
            Self::List(queries) => queries.as_slice(),
            query => std::slice::from_ref(query),
        };
        queries.iter().for_each(|it| it.put_xml("Query", 1, &mut to));
        to.push_str("</explain>");
        to
    }

    fn put_xml(&self, name: &str, depth: usize, to: &mut String) {
        // `ExplainXMLTag`: what may not stand in a name becomes a dash.
        let tag: String = name
            .chars()
            .map(|it| if it.is_ascii_alphanumeric() || "-_.".contains(it) { it } else { '-' })
            .collect();
        indent(depth, to);
        let _ = write!(to, "<{tag}>");
        match self {
            Self::Scalar(token) => put_xml_text(token, to),
            Self::List(items) => {
                to.push('\n');
                for item in items {
                    let name = match item {
                        Self::Object(_) => name.strip_suffix('s').unwrap_or("Item"),
                        Self::Scalar(_) | Self::List(_) => "Item",
                    };
                    item.put_xml(name, depth + 1, to);
                }
                indent(depth, to);
            }
            Self::Object(members) => {
                to.push('\n');
                members.iter().for_each(|(name, value)| value.put_xml(name, depth + 1, to));
                indent(depth, to);
            }
        }
        let _ = writeln!(to, "</{tag}>");
    }
}

fn indent(depth: usize, to: &mut String) {
    (0..depth).for_each(|_| to.push_str("  "));
}

fn put_xml_text(token: &str, to: &mut String) {
    let text = serde_json::from_str::<String>(token).unwrap_or_else(|_| token.to_owned());
    for letter in text.chars() {
        match letter {
            '&' => to.push_str("&amp;"),
            '<' => to.push_str("&lt;"),
            '>' => to.push_str("&gt;"),
            '\r' => to.push_str("&#x0d;"),
            other => to.push(other),
        }
    }
}

/// Reads JSON that PostgreSQL wrote.
struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn value(&mut self) -> Option<Value> {
        match self.peek()? {
            '{' => {
                let mut members = Vec::new();
                self.parts('}', &mut |it| {
                    let name = serde_json::from_str(&it.string()?).ok()?;
                    it.sign(':')?;
                    members.push((name, it.value()?));
                    Some(())
                })?;
                Some(Value::Object(members))
            }
            '[' => {
                let mut items = Vec::new();
                self.parts(']', &mut |it| {
                    items.push(it.value()?);
                    Some(())
                })?;
                Some(Value::List(items))
            }
            '"' => self.string().map(Value::Scalar),
            _ => {
                let end = self.rest.find([',', '}', ']', '\n', ' ']).unwrap_or(self.rest.len());
                self.token(end).map(Value::Scalar)
            }
        }
    }

    /// What stands between brackets, divided by commas.
    fn parts(&mut self, close: char, part: &mut dyn FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.rest = self.rest.get(1..)?;
        while self.peek()? != close {
            part(self)?;
            if self.peek()? == ',' {
                self.sign(',')?;
            }
        }
        self.sign(close)
    }

    fn string(&mut self) -> Option<String> {
        self.peek()?;
        let mut escaped = true;
        let end = self.rest.char_indices().find(|(at, letter)| {
            let ends = *letter == '"' && !escaped && *at > 0;
            escaped = *letter == '\\' && !escaped;
            ends
        });
        self.token(end?.0 + 1)
    }

    fn token(&mut self, end: usize) -> Option<String> {
        let (token, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        (!token.is_empty()).then(|| token.to_owned())
    }

    fn sign(&mut self, sign: char) -> Option<()> {
        self.peek()?;
        self.rest = self.rest.strip_prefix(sign)?;
        Some(())
    }

    /// The next character that is no space.
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start();
        self.rest.chars().next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = r#"[
  {
    "Plan": {
      "Node Type": "Seq Scan",
      "Startup Cost": 0.00,
      "Output": ["k", "\"A, b\" < 'c\\'"],
      "Plans": [ {"Node Type": "Result", "Parallel Aware": false} ]
    },
    "Triggers": [
    ]
  }
]"#;

    #[test]
    fn json_is_read_and_written() {
        let value = Value::parse(PLAN).unwrap();
        let written = value.to_json();
        let same: serde_json::Value = serde_json::from_str(&written).unwrap();
        assert_eq!(same, serde_json::from_str::<serde_json::Value>(PLAN).unwrap());
        assert_eq!(Value::parse(&written).unwrap(), value);
        assert!(written.contains("\"Startup Cost\": 0.00"), "numbers stay as they were");
    }

    #[test]
    fn yaml_and_xml_are_as_postgres_writes_them() {
        let value = Value::parse(PLAN).unwrap();
        let yaml = "- Plan: \n    Node Type: \"Seq Scan\"\n    Startup Cost: 0.00\n    Output: \n      - \"k\"\n      - \"\\\"A, b\\\" < 'c\\\\'\"\n    Plans: \n      - Node Type: \"Result\"\n        Parallel Aware: false\n  Triggers: []";
        assert_eq!(value.to_yaml(), yaml);
        let xml = "<explain xmlns=\"http://www.postgresql.org/2009/explain\">\n  <Query>\n    <Plan>\n      <Node-Type>Seq Scan</Node-Type>\n      <Startup-Cost>0.00</Startup-Cost>\n      <Output>\n        <Item>k</Item>\n        <Item>\"A, b\" &lt; 'c\\'</Item>\n      </Output>\n      <Plans>\n        <Plan>\n          <Node-Type>Result</Node-Type>\n          <Parallel-Aware>false</Parallel-Aware>\n        </Plan>\n      </Plans>\n    </Plan>\n    <Triggers>\n    </Triggers>\n  </Query>\n</explain>";
        assert_eq!(value.to_xml(), xml);
    }
}
