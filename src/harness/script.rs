//! Differential test scripts: SQL files with directives (see `differential/README.md`).

use anyhow::{bail, ensure};

#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub line: usize,
    pub sql: String,
    pub only: Option<Target>,
    pub expect: Expect,
    pub copy: Option<String>,
    pub session: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    Plain,
    Group,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Expect {
    Success,
    /// The same SQLSTATE on both.
    Error,
    /// The same SQLSTATE and message on both.
    Message,
    /// The group refuses with 0A000 what PostgreSQL accepts.
    Refused,
}

/// Reads a script; errors name the line.
pub fn parse(text: &str) -> anyhow::Result<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = text;
    let mut session = "main".to_owned();
    let mut directives = Directives::default();
    loop {
        let line = text[..text.len() - rest.len()].matches('\n').count() + 1;
        let (head, tail) = rest.split_once('\n').unwrap_or((rest, ""));
        if let Some(directive) = head.strip_prefix("-- @") {
            directives.read(directive.trim(), &mut session, line)?;
            rest = tail;
        } else if head.trim().is_empty() || head.starts_with("--") {
            if rest.is_empty() {
                return Ok(steps);
            }
            rest = tail;
        } else {
            let Some(length) = statement_length(rest) else {
                bail!("line {line}: the statement does not end")
            };
            let sql = rest[..length].to_owned();
            rest = rest[length..].strip_prefix('\n').unwrap_or(&rest[length..]);
            let directives = std::mem::take(&mut directives);
            let copy = if directives.copy { Some(take_copy_data(&mut rest, line)?) } else { None };
            let Directives { only, expect, .. } = directives;
            steps.push(Step { line, sql, only, expect, copy, session: session.clone() });
        }
    }
}

struct Directives {
    only: Option<Target>,
    expect: Expect,
    copy: bool,
}

impl Default for Directives {
    fn default() -> Self {
        Self { only: None, expect: Expect::Success, copy: false }
    }
}

impl Directives {
    fn read(&mut self, directive: &str, session: &mut String, line: usize) -> anyhow::Result<()> {
        match directive {
            "group" => self.only = Some(Target::Group),
            "plain" => self.only = Some(Target::Plain),
            "error" => self.expect = Expect::Error,
            "message" => self.expect = Expect::Message,
            "refused" => self.expect = Expect::Refused,
            "copy" => self.copy = true,
            _ => match directive.strip_prefix("session ") {
                Some(name) => name.trim().clone_into(session),
                None => bail!("line {line}: unknown directive @{directive}"),
            },
        }
        Ok(())
    }
}

fn take_copy_data(rest: &mut &str, line: usize) -> anyhow::Result<String> {
    let end = rest.find("\\.\n");
    ensure!(end.is_some(), "line {line}: the COPY data does not end with \\.");
    let (data, tail) = rest.split_at(end.unwrap_or_default());
    *rest = &tail[3..];
    Ok(data.to_owned())
}

/// Bytes up to and including the `;` that ends the first statement, by PostgreSQL's lexical rules.
fn statement_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        at = match bytes[at] {
            b';' => return Some(at + 1),
            b'\'' => end_of_string(bytes, at, at > 0 && matches!(bytes[at - 1], b'e' | b'E'))?,
            b'"' => at + 2 + text[at + 1..].find('"')?,
            b'-' if bytes[at..].starts_with(b"--") => at + text[at..].find('\n')?,
            b'/' if bytes[at..].starts_with(b"/*") => end_of_comment(bytes, at)?,
            b'$' => end_of_dollar_string(text, at)?,
            _ => at + 1,
        };
    }
    None
}

fn end_of_string(bytes: &[u8], start: usize, escapes: bool) -> Option<usize> {
    let mut at = start + 1;
    loop {
        match *bytes.get(at)? {
            b'\\' if escapes => at += 2,
            b'\'' => return Some(at + 1),
            _ => at += 1,
        }
    }
}

fn end_of_comment(bytes: &[u8], start: usize) -> Option<usize> {
    let (mut at, mut depth) = (start, 0);
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            (at, depth) = (at + 2, depth + 1);
        } else if bytes[at..].starts_with(b"*/") {
            (at, depth) = (at + 2, depth - 1);
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += 1;
        }
    }
    None
}

/// `$tag$ … $tag$`; a `$1` is no string.
fn end_of_dollar_string(text: &str, start: usize) -> Option<usize> {
    let tag_end = text[start + 1..].find(|c: char| !c.is_alphanumeric() && c != '_')? + start + 1;
    let numbered = text[start + 1..].starts_with(|c: char| c.is_ascii_digit());
    if numbered || text.as_bytes()[tag_end] != b'$' {
        return Some(start + 1);
    }
    let tag = &text[start..=tag_end];
    Some(tag_end + 1 + text[tag_end + 1..].find(tag)? + tag.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_where_postgres_ends_them() {
        let script = "-- a comment; with a semicolon\nSELECT ';', \"a;b\", $$;$$, E'\\';' /* ; /* */ ; */ -- ;\n;\n\
                      -- @error\nSELECT $1;\n-- @copy\nCOPY t FROM STDIN;\n1;2\n\\.\n-- @session two\nSELECT 1;\n";
        let steps = parse(script).unwrap();
        assert_eq!(steps.iter().map(|s| s.line).collect::<Vec<_>>(), [2, 5, 7, 11]);
        assert!(steps[0].sql.ends_with("-- ;\n;"));
        assert_eq!(steps[1].expect, Expect::Error);
        assert_eq!(steps[2].copy.as_deref(), Some("1;2\n"));
        assert_eq!(steps[3].session, "two");
    }

    #[test]
    fn mistakes_name_their_line() {
        let error = |text| parse(text).unwrap_err().to_string();
        assert_eq!(error("\n-- @nosuch\n"), "line 2: unknown directive @nosuch");
        assert_eq!(error("SELECT 'x"), "line 1: the statement does not end");
    }
}
