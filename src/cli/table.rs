//! The status for people.
use howdah_local::{MemberState, MemberStatus, Role, Status};

pub(crate) fn status(status: &Status) -> String {
    let header = ["MEMBER", "ROLE", "STATE", "PID", "POSTGRES", "PORT"].map(String::from);
    let rows: Vec<[String; 6]> = std::iter::once(header).chain(status.members.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|it| it[column].len()).max().unwrap_or(0);
    let mut text = format!("{}  {}\n", status.phase, status.uri);
    for row in &rows {
        let cells: Vec<String> =
            row.iter().enumerate().map(|(column, cell)| format!("{cell:<0$}", width(column))).collect();
        text.push('\n');
        text.push_str(cells.join("  ").trim_end());
    }
    text
}

fn row(member: &MemberStatus) -> [String; 6] {
    let role = match member.role {
        Role::Router => "router",
        Role::Primary => "primary",
        Role::Standby => "standby",
    };
    let state = match member.state {
        MemberState::Starting => "starting",
        MemberState::Running => "running",
        MemberState::Stopped => "stopped",
    };
    let pid = member.pid.map_or_else(String::new, |it| it.to_string());
    let postgres_pid = member.postgres_pid.map_or_else(String::new, |it| it.to_string());
    [member.name.clone(), role.into(), state.into(), pid, postgres_pid, member.port.to_string()]
}
