//! ServerGroups as people write them, and the objects that they become.
use expect_test::{ExpectFile, expect_file};

use super::*;
use crate::pki::Issued;

fn group(spec: &str) -> ServerGroup {
    let text = format!(
        "{{apiVersion: howdah.dev/v1alpha1, kind: ServerGroup, metadata: {{name: demo, namespace: shop, uid: u-1}}, spec: {spec}}}"
    );
    serde_yaml::from_str(&text).unwrap()
}

fn blueprint(group: &ServerGroup) -> Blueprint<'_> {
    let postgres = "docker.io/library/postgres:17".to_owned();
    let own = &group.spec.image;
    Blueprint {
        names: Names { group: "demo".into(), namespace: "shop".into() },
        group,
        images: Images {
            howdah: "howdah.test/howdah:1".into(),
            pull_policy: "IfNotPresent".into(),
            postgres: if own.is_empty() { postgres.clone() } else { own.clone() },
            default_postgres: postgres,
        },
        operator_namespace: Some("howdah-system".into()),
    }
}

/// Everything but certificates, whose keys are random.
fn objects(group: &ServerGroup) -> Vec<DynamicObject> {
    let blueprint = blueprint(group);
    let mut objects = vec![app_secret(&blueprint, &Login { password: "s3cret/", ca: "CA\n" })];
    objects.extend(services(&blueprint, blueprint.nodes()));
    objects
        .extend(blueprint.nodes().map(|it| node_config(&blueprint, it, &instance_settings(&group.spec, it))));
    objects.extend(router_config(&blueprint));
    objects.extend(network_policies(&blueprint));
    objects.extend(routers(&blueprint, None));
    objects.extend(router_budget(&blueprint));
    objects.extend(pod_monitor(&blueprint));
    objects.extend(blueprint.nodes().map(|it| stateful_set(&blueprint, it, None)));
    objects
}

fn check(spec: &str, expected: &ExpectFile) {
    let group = group(spec);
    let objects = objects(&group);
    let yaml = objects.iter().map(|it| format!("---\n{}", serde_yaml::to_string(it).unwrap()));
    expected.assert_eq(&yaml.collect::<String>());
}

#[test]
fn a_minimal_group() {
    check("{}", &expect_file!["tests/minimal.yaml"]);
}

#[test]
fn a_group_with_everything() {
    check(
        "{
            postgresVersion: '16', image: 'registry.example/pg:16.4',
            coordinator: {vcores: 2, storage: {size: 8Gi, className: fast}, parameters: {work_mem: 64MB}},
            workers: {
                count: 2, vcores: 4, storage: {size: 16Gi}, parameters: {work_mem: 16MB},
                overrides: [{index: 1, storage: {size: 32Gi}, resources: {requests: {cpu: 6}, limits: {memory: 48Gi}}}],
            },
            parameters: {max_connections: 300, shared_buffers: 25%},
            router: {replicas: 2, resources: {limits: {memory: 512Mi}}, pool: {defaultPoolSize: 20}},
            networking: {service: {type: LoadBalancer, annotations: {a: b}, loadBalancerSourceRanges: [10.0.0.0/8]}},
            tls: {mode: Prefer, serverSecretName: demo-tls},
            monitoring: {podMonitor: {enabled: true, labels: {release: prometheus}}},
            scheduling: {
                antiAffinity: Required, nodeSelector: {disk: ssd}, tolerations: [{key: db, operator: Exists}],
                topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}],
            },
            podTemplateOverlay: {spec: {priorityClassName: high, containers: [{name: postgres, env: [{name: TZ, value: UTC}]}]}},
            persistentVolumeClaimRetention: {whenDeleted: Delete},
        }",
        &expect_file!["tests/everything.yaml"],
    );
}

#[test]
fn hibernation_and_open_networks() {
    let group = group("{hibernate: true, router: {replicas: 3}, networking: {networkPolicy: Off}}");
    let objects = objects(&group);
    let replicas = objects.iter().filter_map(|it| it.data.pointer("/spec/replicas")).collect::<Vec<_>>();
    assert_eq!(replicas, [0, 0, 0, 0]);
    assert!(!objects.iter().any(|it| it.types.as_ref().unwrap().kind == "NetworkPolicy"));
}

#[test]
fn a_pod_is_replaced_for_what_its_user_has_changed() {
    let before = group("{}");
    let hash = |group: &ServerGroup, node| template_hash(&blueprint(group), node);
    let worker = Some(NodeName::Worker(0));
    let coordinator = Some(NodeName::Coordinator);
    let after = group("{workers: {vcores: 2}}");
    assert_ne!(hash(&before, worker), hash(&after, worker));
    assert_eq!(hash(&before, coordinator), hash(&after, coordinator));
    let after =
        group("{parameters: {work_mem: 1MB}, workers: {count: 5, storage: {size: 1Ti}}, paused: true}");
    assert_eq!(hash(&before, worker), hash(&after, worker));
    let after = group("{router: {pool: {defaultPoolSize: 7}}}");
    assert_eq!(hash(&before, worker), hash(&after, worker));
    assert_ne!(hash(&before, coordinator), hash(&after, coordinator));
    let after = group("{image: other}");
    assert_ne!(hash(&before, worker), hash(&after, worker));
}

#[test]
fn another_operator_changes_no_hash_and_no_router() {
    let group = group("{router: {replicas: 1}}");
    let old = blueprint(&group);
    let mut new = old.clone();
    new.images.howdah = "howdah.test/howdah:2".into();
    for node in [None, Some(NodeName::Coordinator), Some(NodeName::Worker(0))] {
        assert_eq!(template_hash(&old, node), template_hash(&new, node));
    }
    let existing = routers(&old, None).unwrap();
    let typed = existing.clone().try_parse().unwrap();
    assert_eq!(json!(routers(&new, Some(&typed))), json!(existing));
}

/// The template of a claim cannot change.
#[test]
fn a_claim_template_stays() {
    let small = group("{workers: {storage: {size: 1Gi}}}");
    let existing = stateful_set(&blueprint(&small), NodeName::Worker(0), None);
    let large = group("{workers: {storage: {size: 2Gi}}}");
    let typed = existing.clone().try_parse().unwrap();
    let after = stateful_set(&blueprint(&large), NodeName::Worker(0), Some(&typed));
    let claims = |it: &DynamicObject| it.data["spec"]["volumeClaimTemplates"].clone();
    assert_eq!(claims(&after), claims(&existing));
    assert_eq!(storage(&large.spec, NodeName::Worker(0)), ("2Gi", ""));
}

#[test]
fn settings_come_back_from_their_config_map() {
    let group = group("{parameters: {work_mem: 3MB}}");
    let settings = instance_settings(&group.spec, NodeName::Coordinator);
    let map = node_config(&blueprint(&group), NodeName::Coordinator, &settings);
    assert_eq!(settings_of(&map.try_parse().unwrap()), Some(settings));
}

#[test]
fn certificates_are_mounted_as_they_are() {
    let group = group("{}");
    let authority = crate::pki::Authority::make("demo", "2026-01-01T00:00:00Z".parse().unwrap()).unwrap();
    let secret = certificate_secret(&blueprint(&group), "demo-ca", &authority.as_issued());
    let secret: k8s_openapi::api::core::v1::Secret = secret.try_parse().unwrap();
    let read = Issued::read(&crate::snapshot::texts(&secret), kube::ResourceExt::annotations(&secret));
    assert_eq!(read, Some(authority.as_issued()));
}
