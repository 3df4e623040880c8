//! `logs`: what the members have written.
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

use howdah_group::MemberName;

use crate::record::Record;
use crate::{Error, Layout, directory};

/// Writes the end of the logs of a member (or of everything) to `out`.
pub fn logs(dir: &Path, member: Option<&str>, out: &mut impl Write) -> Result<(), Error> {
    let layout = directory::find(dir)?;
    let record = Record::load(&layout)?.ok_or_else(|| Error::NoGroup(dir.to_owned()))?;
    let known: Vec<MemberName> = record.desired().members().collect();
    let files = match member {
        None => {
            let mut files = vec![layout.supervisor_log()];
            files.extend(known.iter().flat_map(|it| files_of(&layout, *it)));
            files
        }
        Some(member) => {
            let name: MemberName = member.parse()?;
            if !known.contains(&name) {
                return Err(Error::NoMember { member: name.to_string() });
            }
            files_of(&layout, name)
        }
    };
    for path in files.iter().filter(|it| it.exists()) {
        print(path, out).map_err(Error::file(path))?;
    }
    Ok(())
}

/// Of a server: what its instance manager says, then what Postgres says.
fn files_of(layout: &Layout, name: MemberName) -> Vec<PathBuf> {
    let mut files = vec![layout.member_log(name)];
    if let MemberName::Postgres(node) = name {
        files.push(layout.postgres_log(node));
    }
    files
}

fn print(path: &Path, out: &mut impl Write) -> std::io::Result<()> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    writeln!(out, "==> {} <==", path.display())?;
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    let begin =
        if length > TAIL { text.iter().position(|it| *it == b'\n').map_or(0, |it| it + 1) } else { 0 };
    out.write_all(&text[begin..])
}

const TAIL: u64 = 256 << 10;
