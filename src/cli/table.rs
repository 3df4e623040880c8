//! The status for people.
use comfy_table::{Table, presets};
use howdah_local::{MemberState, MemberStatus, Role, Status};

pub(crate) fn status(status: &Status) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(["MEMBER", "ROLE", "STATE", "PID", "POSTGRES", "PORT"]);
    for member in &status.members {
        table.add_row(row(member));
    }
    format!("{}  {}\n\n{table}", status.phase, status.uri)
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
