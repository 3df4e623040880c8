use expect_test::{Expect, expect};

use super::*;

const NOW: &str = "2026-03-01T12:00:00Z";

fn check(group: &str, expect: &Expect) {
    let group: ServerGroup = serde_yaml::from_str(group).unwrap();
    expect.assert_eq(&overview(&group, NOW.parse().unwrap()));
}

#[test]
fn a_group_on_a_page() {
    check(
        r#"
metadata: {name: demo, generation: 4}
spec: {}
status:
  observedGeneration: 4
  phase: Degraded
  endpoint: demo.default.svc:5432
  postgresVersion: "17.6"
  workers: {desired: 2, ready: 1, summary: 1/2}
  ha: {summary: "off"}
  nodes:
  - {name: coordinator, groupId: 0, primary: demo-c-0, ready: 1/1, shards: 0, diskUsedPercent: 11, phase: Ready}
  - {name: w0, ready: 0/1, phase: Provisioning}
  conditions:
  - {type: Ready, status: "False", reason: NodeNotReady, message: "w0: image not found", lastTransitionTime: "2026-03-01T11:55:00Z"}
"#,
        &expect![[r#"
            demo  Degraded
              Endpoint    demo.default.svc:5432
              PostgreSQL  17.6
              Workers     1/2
              HA          off

            NODE         PHASE         READY  PRIMARY   SHARDS  DISK    LAG
            coordinator  Ready         1/1    demo-c-0  0       11%     <none>
            w0           Provisioning  0/1    <none>    <none>  <none>  <none>

            CONDITION  STATUS  SINCE  REASON        MESSAGE
            Ready      False   5m     NodeNotReady  w0: image not found
        "#]],
    );
}

#[test]
fn a_group_that_nobody_looks_after() {
    check(
        "{metadata: {name: demo, generation: 1}, spec: {}}",
        &expect![[r#"
            demo  <not seen by an operator yet>
        "#]],
    );
}

#[test]
fn ages_have_one_unit() {
    assert_eq!([-5, 119, 7199, 172_799, 864_000].map(age), ["0s", "119s", "119m", "47h", "10d"]);
}
