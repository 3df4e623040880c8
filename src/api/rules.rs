//! The rules of the CRDs in CEL: what a schema's bounds cannot say. The API server evaluates them, and refuses a
//! CRD whose rules could cost too much: hence the bounds on every list, map and text that a rule reads.
//!
//! A message begins with the field's name where the rule is not at the field itself.
use kube::core::{Message, Rule};

fn rule(expression: &str, message: &str) -> Rule {
    Rule::new(expression).message(message)
}

pub(crate) fn immutable() -> Vec<Rule> {
    vec![rule("self == oldSelf", "this field is immutable")]
}

/// Names of pods and Services are made of it, and those end at 63.
pub(crate) fn name_length() -> Rule {
    rule("self.metadata.name.size() <= 40", "metadata.name: at most 40 characters")
}

/// A Service's name is a DNS label.
pub(crate) fn name_form() -> Rule {
    rule(
        "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
        "metadata.name: lower-case letters, digits and inner hyphens, a letter first",
    )
}

/// Where the spec left the version open, the data have one all the same.
pub(crate) fn version_of_the_data() -> Rule {
    rule(
        "!has(oldSelf.status) || !has(oldSelf.status.postgresVersion) || self.spec.postgresVersion == '' \
         || !oldSelf.status.postgresVersion.matches('^[0-9]{1,3}([.].*)?$') \
         || int(self.spec.postgresVersion) >= int(oldSelf.status.postgresVersion.split('.')[0])",
        "spec.postgresVersion: the version never goes down, and the data are of a newer one",
    )
}

pub(crate) fn version() -> Vec<Rule> {
    vec![rule(
        "oldSelf == '' || (self != '' && int(self) >= int(oldSelf))",
        "the version never goes down, and stays named",
    )]
}

pub(crate) fn database() -> Vec<Rule> {
    vec![
        rule("self == oldSelf", "this field is immutable"),
        rule("!(self in ['template0', 'template1'])", "this name is reserved by PostgreSQL"),
    ]
}

pub(crate) fn admin_user() -> Vec<Rule> {
    vec![
        rule("self == oldSelf", "this field is immutable"),
        rule(
            "!(self in ['postgres', 'public', 'none']) && !self.startsWith('pg_')",
            "this name is reserved by PostgreSQL",
        ),
    ]
}

pub(crate) fn spec() -> Vec<Rule> {
    vec![rule(
        // The default of the spec itself is empty, and is checked before the others fill it.
        "!has(self.rebalance) || !self.rebalance.onlyInMaintenanceWindow || self.maintenanceWindows.size() > 0",
        "rebalance.onlyInMaintenanceWindow: there is no window in maintenanceWindows",
    )]
}

pub(crate) fn coordinator() -> Vec<Rule> {
    vec![size_said_once()]
}

pub(crate) fn workers() -> Vec<Rule> {
    vec![
        size_said_once(),
        rule(
            "self.overrides.all(it, !has(it.storage) || !has(it.storage.size) || it.index >= oldSelf.count \
             || oldSelf.overrides.exists(old, old.index == it.index && has(old.storage) && has(old.storage.size)) \
             || quantity(it.storage.size).compareTo(quantity(oldSelf.storage.size)) >= 0)",
            "overrides: storage.size of a worker that exists never shrinks",
        ),
        rule(
            "oldSelf.overrides.all(old, !has(old.storage) || !has(old.storage.size) || old.index >= oldSelf.count \
             || self.overrides.exists(it, it.index == old.index && has(it.storage) && has(it.storage.size)) \
             || quantity(self.storage.size).compareTo(quantity(old.storage.size)) >= 0)",
            "overrides: without its override the storage of this worker would shrink",
        ),
    ]
}

/// Two answers to one question: none would be the obvious one.
fn size_said_once() -> Rule {
    rule(
        "!has(self.vcores) || ['cpu', 'memory'].all(it, !(it in self.resources.requests) && !(it in self.resources.limits))",
        "vcores: say the size by vcores and edition, or by cpu and memory in resources, not by both",
    )
}

pub(crate) fn resources() -> Vec<Rule> {
    vec![rule(
        "self.requests.all(it, !(it in self.limits) \
         || quantity(string(self.requests[it])).compareTo(quantity(string(self.limits[it]))) <= 0)",
        "requests: a request is greater than its limit",
    )]
}

pub(crate) fn size() -> Vec<Rule> {
    vec![
        rule("quantity(self).isGreaterThan(quantity('0'))", "a volume has a size"),
        rule("quantity(self).compareTo(quantity(oldSelf)) >= 0", "storage grows and never shrinks"),
    ]
}

/// What the instance manager sets, or the router relies upon. Howdah's own check knows the same names.
pub(crate) fn parameters() -> Vec<Rule> {
    let names = RESERVED_PARAMETERS.map(|it| format!("'{it}'")).join(", ");
    let prefixes = RESERVED_PREFIXES.map(|it| format!("it.lowerAscii().startsWith('{it}')")).join(" || ");
    let reserved = format!("it.lowerAscii() in [{names}] || {prefixes}");
    let mut reserved_rule = Rule::new(format!("!self.exists(it, {reserved})"));
    reserved_rule.message = Some(Message::Expression(format!(
        "'reserved, because Howdah itself sets it: ' + self.filter(it, {reserved})[0]"
    )));
    vec![
        rule(
            "self.all(it, it.matches('^[A-Za-z_][A-Za-z0-9_.]{0,126}$'))",
            "a key is not the name of a setting of PostgreSQL",
        ),
        reserved_rule,
    ]
}

pub(crate) fn high_availability() -> Vec<Rule> {
    vec![
        rule(
            "self.syncNumber < self.instances || (self.instances == 1 && self.syncNumber == 1)",
            "syncNumber: must be less than instances, because the primary does not count",
        ),
        rule(
            "self.durability != 'Required' || (self.instances >= 2 && self.syncNumber >= 1)",
            "durability: Required needs at least two instances and a syncNumber of 1",
        ),
    ]
}

pub(crate) fn detection() -> Vec<Rule> {
    vec![rule(
        "self.suspectAfterSeconds >= self.heartbeatSeconds",
        "suspectAfterSeconds: must not be less than heartbeatSeconds",
    )]
}

pub(crate) fn service() -> Vec<Rule> {
    vec![
        rule(
            "self.type == 'LoadBalancer' || self.loadBalancerSourceRanges.size() == 0",
            "loadBalancerSourceRanges: only a service of type LoadBalancer has them",
        ),
        rule(
            "self.loadBalancerSourceRanges.all(it, isCIDR(it))",
            "loadBalancerSourceRanges: each must be a CIDR, such as 10.0.0.0/8",
        ),
    ]
}

pub(crate) fn tls() -> Vec<Rule> {
    vec![rule(
        "self.issuerRef.name == '' || self.serverSecretName == ''",
        "serverSecretName: the certificate comes from issuerRef or from this secret, not from both",
    )]
}

pub(crate) fn issuer() -> Vec<Rule> {
    vec![rule("self.name != '' || (self.kind == '' && self.group == '')", "name: an issuer has a name")]
}

pub(crate) fn backup() -> Vec<Rule> {
    vec![rule(
        "!self.enabled || has(self.repository.s3) || has(self.repository.pvc)",
        "repository: backups need one: s3 or pvc",
    )]
}

pub(crate) fn repository() -> Vec<Rule> {
    vec![rule("!has(self.s3) || !has(self.pvc)", "pvc: there is one repository: s3 or pvc, not both")]
}

pub(crate) fn restore() -> Vec<Rule> {
    vec![
        rule(
            "self.serverGroup != '' || (self.backup == '' && self.targetTime == '' && self.targetRestorePoint == '')",
            "serverGroup: the group whose backup is restored is missing",
        ),
        rule(
            "self.targetTime == '' || self.targetRestorePoint == ''",
            "targetRestorePoint: the target is a time or a restore point, not both",
        ),
    ]
}

/// The API server has the time zone database; an unknown name is an error of the expression.
pub(crate) fn time_zone() -> Vec<Rule> {
    vec![rule(
        "timestamp('2026-01-01T00:00:00Z').getFullYear(self) > 0",
        "this is not a name of the time zone database",
    )]
}

/// minute, hour, day of month, month, day of week; or a word.
pub(crate) fn cron() -> String {
    let field = |value: &str| {
        let range = format!(r"(\*|{value}(-{value})?)(/[1-9][0-9]?)?");
        format!("{range}(,{range})*")
    };
    let minute = field("[0-5]?[0-9]");
    let hour = field("([01]?[0-9]|2[0-3])");
    let day = field("(0?[1-9]|[12][0-9]|3[01])");
    let month = field("(0?[1-9]|1[0-2]|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)");
    let weekday = field("([0-7]|SUN|MON|TUE|WED|THU|FRI|SAT)");
    format!("^(@(hourly|daily|midnight|weekly|monthly)|{minute} {hour} {day} {month} {weekday})$")
}

pub(crate) fn operation() -> Vec<Rule> {
    vec![
        rule("self == oldSelf", "an operation is immutable: create another one"),
        rule(
            "!(self.type in ['Switchover', 'DrainNode', 'ForceFailover']) || self.node != ''",
            "node: this operation is for one node",
        ),
        rule(
            "self.type != 'ForceFailover' || self.acknowledgeDataLoss",
            "acknowledgeDataLoss: a forced failover may lose acknowledged commits: set it to true",
        ),
        rule(
            "self.type != 'CreateRestorePoint' || self.restorePoint != ''",
            "restorePoint: the restore point needs a name",
        ),
    ]
}

/// As in `howdah_instance::settings`, which cannot be asked by an API server; the local driver's tests compare them.
pub const RESERVED_PARAMETERS: [&str; 24] = [
    "port",
    "listen_addresses",
    "unix_socket_directories",
    "unix_socket_permissions",
    "unix_socket_group",
    "data_directory",
    "config_file",
    "hba_file",
    "ident_file",
    "external_pid_file",
    "cluster_name",
    "wal_level",
    "max_prepared_transactions",
    "primary_conninfo",
    "primary_slot_name",
    "synchronous_standby_names",
    "hot_standby",
    "restore_command",
    "password_encryption",
    "logging_collector",
    "log_destination",
    "allow_system_table_mods",
    "fsync",
    "full_page_writes",
];
pub const RESERVED_PREFIXES: [&str; 5] = ["ssl", "archive_", "recovery_", "howdah.", "krb_"];
