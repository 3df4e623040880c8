//! The tests. Each is a function of its scene; what they show is in their names.
mod deletion;
mod install;
mod kill_points;
mod leadership;
mod minimal;
mod mistakes;
mod parameters;
mod power;
mod refused;
mod rolling;
mod scale;
mod security;
mod survival;

use crate::runner::Manners::{Alone, Breaks, Shares};
use crate::runner::Part::{Full, Quick};
use crate::runner::Test;

macro_rules! tests {
    ($($part:ident $manners:ident $module:ident::$name:ident,)*) => {
        &[$(Test {
            name: stringify!($name),
            part: $part,
            manners: $manners,
            body: |scene| Box::pin($module::$name(scene)),
        }),*]
    };
}

/// The order is the order of the run: the quick part first, so that a broken build shows early.
pub(crate) const TESTS: &[Test] = tests![
    Quick Shares minimal::minimal_sample_is_ready_within_two_minutes,
    Quick Shares minimal::documentation_sql_runs_through_the_service,
    Quick Shares scale::scale_out_and_in,
    Quick Shares parameters::parameters_reload_restart_and_survive_typos,
    Quick Shares refused::bad_input_is_refused_by_the_api,
    Quick Shares survival::deleted_pods_come_back_with_all_data,
    Full Shares scale::scale_in_of_a_worker_with_shards_is_refused,
    Full Shares security::workers_talk_to_certificates_only,
    Full Shares security::network_policy_keeps_strangers_out,
    Full Shares mistakes::wrong_image,
    Full Shares mistakes::missing_secret,
    Full Shares mistakes::unbound_volume_claim,
    Full Shares mistakes::too_little_memory,
    Full Shares rolling::parameters_that_restart_roll_one_node_at_a_time,
    Full Shares rolling::image_change_rolls_one_node_at_a_time,
    Full Shares rolling::hibernate_and_wake,
    Full Shares rolling::paused_groups_are_left_alone,
    Full Shares deletion::volumes_outlive_the_group_unless_told_otherwise,
    Full Alone leadership::one_of_two_operators_acts,
    Full Alone rolling::operator_upgrade_restarts_nothing,
    Full Alone kill_points::operator_killed_at_every_step_converges,
    Full Alone install::plain_yaml_installs_the_operator,
    Full Breaks power::power_cut_of_a_k8s_node,
    Full Breaks power::control_plane_outage,
    Full Breaks power::partition_from_the_api,
    Full Breaks power::partition_from_the_peers,
    Full Breaks power::partition_from_everybody,
];
