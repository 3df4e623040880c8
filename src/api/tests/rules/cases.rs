//! One accepted spec and what is refused beside it, field by field in the order of the spec.
use super::{Case, Change};

pub(super) const CASES: &[Case] = &[
    Case {
        accepted: "{postgresVersion: '18'}",
        refused: &[
            ("{postgresVersion: '14'}", "spec.postgresVersion"),
            ("{postgresVersion: '17.6'}", "spec.postgresVersion"),
            ("{postgresVersion: 17}", "spec.postgresVersion"),
        ],
    },
    Case { accepted: "{image: 'postgres:17'}", refused: &[("{image: 'postgres: 17'}", "spec.image")] },
    Case {
        accepted: "{database: postgres, adminUser: admin}",
        refused: &[
            ("{database: ''}", "spec.database"),
            ("{database: template1}", "spec.database"),
            ("{adminUser: postgres}", "spec.adminUser"),
            ("{adminUser: pg_admin}", "spec.adminUser"),
            (
                "{adminUser: a123456789012345678901234567890123456789012345678901234567890123}",
                "spec.adminUser",
            ),
        ],
    },
    Case {
        accepted: "{adminPasswordSecretRef: {name: my.secret, key: a_b.c}}",
        refused: &[
            ("{adminPasswordSecretRef: {name: My Secret}}", "spec.adminPasswordSecretRef.name"),
            ("{adminPasswordSecretRef: {name: a, key: ''}}", "spec.adminPasswordSecretRef.key"),
        ],
    },
    Case {
        accepted: "{coordinator: {vcores: 2, resources: {requests: {ephemeral-storage: 1Gi}}}}",
        refused: &[
            ("{coordinator: {vcores: 2, resources: {requests: {cpu: 2}}}}", "vcores: say the size by"),
            ("{workers: {vcores: 2, resources: {limits: {memory: 8Gi}}}}", "vcores: say the size by"),
            ("{coordinator: {vcores: 0}}", "spec.coordinator.vcores"),
            ("{workers: {vcores: -1}}", "spec.workers.vcores"),
            ("{workers: {vcores: 1.5}}", "spec.workers.vcores"),
            ("{workers: {edition: Cheap}}", "spec.workers.edition"),
        ],
    },
    Case {
        accepted: "{workers: {resources: {requests: {cpu: 500m, memory: 1Gi}, limits: {cpu: 1, memory: 1024Mi}}}}",
        refused: &[
            ("{workers: {resources: {requests: {cpu: much}}}}", "spec.workers.resources.requests.cpu"),
            ("{workers: {resources: {requests: {cpu: '-1'}}}}", "spec.workers.resources.requests.cpu"),
            ("{workers: {resources: {limits: {memory: -1}}}}", "spec.workers.resources.limits.memory"),
            (
                "{workers: {resources: {requests: {cpu: 2}, limits: {cpu: 1500m}}}}",
                "requests: a request is greater",
            ),
            (
                "{router: {resources: {requests: {memory: 2Gi}, limits: {memory: 1Gi}}}}",
                "requests: a request is greater",
            ),
        ],
    },
    Case {
        accepted: "{coordinator: {storage: {size: 1.5Gi, className: fast}}}",
        refused: &[
            ("{coordinator: {storage: {size: much}}}", "spec.coordinator.storage.size"),
            ("{coordinator: {storage: {size: '0'}}}", "spec.coordinator.storage.size"),
            ("{workers: {storage: {size: -1Gi}}}", "spec.workers.storage.size"),
            ("{workers: {storage: {size: 10GB}}}", "spec.workers.storage.size"),
            ("{workers: {storage: {size: ''}}}", "spec.workers.storage.size"),
        ],
    },
    Case {
        accepted: "{workers: {count: 0}}",
        refused: &[
            ("{workers: {count: -1}}", "spec.workers.count"),
            ("{workers: {count: 257}}", "spec.workers.count"),
            ("{workers: {count: many}}", "spec.workers.count"),
        ],
    },
    Case {
        accepted: "{coordinator: {holdShards: true}, workers: {count: 0}}",
        refused: &[("{coordinator: {holdShards: maybe}}", "spec.coordinator.holdShards")],
    },
    Case {
        accepted: "{workers: {overrides: [{index: 0, storage: {size: 1Ti}}, {index: 7, resources: {limits: {cpu: 2}}}]}}",
        refused: &[
            ("{workers: {overrides: [{index: 1}, {index: 1}]}}", "spec.workers.overrides[1]"),
            ("{workers: {overrides: [{index: -1}]}}", "spec.workers.overrides[0].index"),
            ("{workers: {overrides: [{storage: {size: 1Ti}}]}}", "spec.workers.overrides[0].index"),
            (
                "{workers: {overrides: [{index: 0, storage: {size: big}}]}}",
                "spec.workers.overrides[0].storage.size",
            ),
            (
                "{workers: {overrides: [{index: 0, resources: {requests: {cpu: 2}, limits: {cpu: 1}}}]}}",
                "spec.workers.overrides[0].resources",
            ),
        ],
    },
    Case {
        accepted: "{parameters: {work_mem: 64MB, max_connections: 300, TimeZone: UTC, pg_stat_statements.track: all}}",
        refused: &[
            ("{parameters: {port: 5433}}", "itself sets it: port"),
            ("{parameters: {work_mem: 1MB, SSL_cert_file: x}}", "itself sets it: SSL_cert_file"),
            ("{parameters: {Archive_Mode: 'on'}}", "itself sets it: Archive_Mode"),
            ("{coordinator: {parameters: {wal_level: logical}}}", "spec.coordinator.parameters"),
            ("{workers: {parameters: {synchronous_standby_names: '*'}}}", "spec.workers.parameters"),
            ("{parameters: {'work mem': 1MB}}", "spec.parameters"),
            ("{parameters: {'': 1MB}}", "spec.parameters"),
            ("{parameters: {work_mem: \"1MB\\nport = 1\"}}", "spec.parameters.work_mem"),
            ("{parameters: {jit: true}}", "spec.parameters.jit"),
            ("{parameters: {random_page_cost: 1.1}}", "spec.parameters.random_page_cost"),
        ],
    },
    Case {
        accepted: "{highAvailability: {instances: 3, syncNumber: 2, durability: Required}}",
        refused: &[
            ("{highAvailability: {instances: 2, syncNumber: 2}}", "syncNumber: must be less"),
            ("{highAvailability: {instances: 1, syncNumber: 2}}", "syncNumber: must be less"),
            ("{highAvailability: {instances: 0}}", "spec.highAvailability.instances"),
            ("{highAvailability: {instances: 3, syncNumber: -1}}", "spec.highAvailability.syncNumber"),
            ("{highAvailability: {durability: Required}}", "durability: Required"),
            (
                "{highAvailability: {instances: 2, syncNumber: 0, durability: Required}}",
                "durability: Required",
            ),
            ("{highAvailability: {durability: Perhaps}}", "spec.highAvailability.durability"),
            ("{highAvailability: {failureDomain: ''}}", "spec.highAvailability.failureDomain"),
            ("{highAvailability: {failureDomain: 'a zone'}}", "spec.highAvailability.failureDomain"),
            (
                "{highAvailability: {switchoverDrainSeconds: -1}}",
                "spec.highAvailability.switchoverDrainSeconds",
            ),
        ],
    },
    Case {
        accepted: "{highAvailability: {detection: {heartbeatSeconds: 2, suspectAfterSeconds: 2}}}",
        refused: &[
            (
                "{highAvailability: {detection: {heartbeatSeconds: 5, suspectAfterSeconds: 3}}}",
                "suspectAfterSeconds: must not be less",
            ),
            ("{highAvailability: {detection: {heartbeatSeconds: 0}}}", "detection.heartbeatSeconds"),
            ("{highAvailability: {detection: {suspectAfterSeconds: NaN}}}", "detection.suspectAfterSeconds"),
            ("{highAvailability: {detection: {failoverDelaySeconds: -1}}}", "detection.failoverDelaySeconds"),
        ],
    },
    Case {
        accepted: "{rebalance: {policy: Manual, strategy: by_shard_count, thresholdPercent: 100, maxParallelMoves: 4}}",
        refused: &[
            ("{rebalance: {thresholdPercent: NaN}}", "spec.rebalance.thresholdPercent"),
            ("{rebalance: {thresholdPercent: 0.5}}", "spec.rebalance.thresholdPercent"),
            ("{rebalance: {thresholdPercent: 101}}", "spec.rebalance.thresholdPercent"),
            ("{rebalance: {thresholdPercent: -1}}", "spec.rebalance.thresholdPercent"),
            ("{rebalance: {maxParallelMoves: 0}}", "spec.rebalance.maxParallelMoves"),
            ("{rebalance: {strategy: by_luck}}", "spec.rebalance.strategy"),
            ("{rebalance: {policy: Never}}", "spec.rebalance.policy"),
        ],
    },
    Case {
        accepted: "{rebalance: {onlyInMaintenanceWindow: true}, \
                    maintenanceWindows: [{dayOfWeek: Sun, startTime: '23:30', durationMinutes: 60, timeZone: Europe/Berlin}]}",
        refused: &[
            (
                "{rebalance: {onlyInMaintenanceWindow: true}}",
                "rebalance.onlyInMaintenanceWindow: there is no window",
            ),
            (
                "{maintenanceWindows: [{dayOfWeek: Funday, startTime: '02:00', durationMinutes: 60}]}",
                "spec.maintenanceWindows[0].dayOfWeek",
            ),
            (
                "{maintenanceWindows: [{dayOfWeek: Sun, startTime: '24:00', durationMinutes: 60}]}",
                "spec.maintenanceWindows[0].startTime",
            ),
            (
                "{maintenanceWindows: [{dayOfWeek: Sun, startTime: '2:00', durationMinutes: 60}]}",
                "spec.maintenanceWindows[0].startTime",
            ),
            (
                "{maintenanceWindows: [{dayOfWeek: Sun, startTime: '02:00', durationMinutes: 0}]}",
                "spec.maintenanceWindows[0].durationMinutes",
            ),
            (
                "{maintenanceWindows: [{dayOfWeek: Sun, startTime: '02:00', durationMinutes: 60, timeZone: Mars/Base}]}",
                "spec.maintenanceWindows[0].timeZone",
            ),
            ("{maintenanceWindows: [{dayOfWeek: Sun, startTime: '02:00'}]}", "durationMinutes: Required"),
        ],
    },
    Case {
        accepted: "{router: {replicas: 3, pool: {defaultPoolSize: 10, maxClientConnections: 100, failoverBufferSeconds: 0}}}",
        refused: &[
            ("{router: {replicas: -1}}", "spec.router.replicas"),
            ("{router: {pool: {defaultPoolSize: 0}}}", "spec.router.pool.defaultPoolSize"),
            ("{router: {pool: {maxClientConnections: 0}}}", "spec.router.pool.maxClientConnections"),
            ("{router: {pool: {failoverBufferSeconds: 301}}}", "spec.router.pool.failoverBufferSeconds"),
            ("{router: {readReplicas: Always}}", "spec.router.readReplicas"),
        ],
    },
    Case {
        accepted: "{networking: {networkPolicy: Off, service: {type: LoadBalancer, loadBalancerSourceRanges: [10.0.0.0/8, '2001:db8::/32']}}}",
        refused: &[
            (
                "{networking: {service: {loadBalancerSourceRanges: [10.0.0.0/8]}}}",
                "loadBalancerSourceRanges: only a service",
            ),
            (
                "{networking: {service: {type: LoadBalancer, loadBalancerSourceRanges: [10.0.0.0]}}}",
                "loadBalancerSourceRanges: each must be a CIDR",
            ),
            ("{networking: {service: {type: ExternalName}}}", "spec.networking.service.type"),
            ("{networking: {networkPolicy: Loose}}", "spec.networking.networkPolicy"),
        ],
    },
    Case {
        accepted: "{tls: {mode: Prefer, minVersion: '1.3', issuerRef: {name: ours, kind: ClusterIssuer}}}",
        refused: &[
            ("{tls: {mode: Never}}", "spec.tls.mode"),
            ("{tls: {minVersion: '1.1'}}", "spec.tls.minVersion"),
            (
                "{tls: {issuerRef: {name: ours}, serverSecretName: mine}}",
                "serverSecretName: the certificate comes",
            ),
            ("{tls: {issuerRef: {kind: Issuer}}}", "name: an issuer has a name"),
            ("{tls: {issuerRef: {name: a, kind: Notary}}}", "spec.tls.issuerRef.kind"),
            ("{tls: {serverSecretName: Mine!}}", "spec.tls.serverSecretName"),
        ],
    },
    Case {
        accepted: "{backup: {enabled: true, repository: {s3: {bucket: backups, endpoint: 's3.example.com'}}, schedule: '*/15 0-6,22 * JAN-MAR 1'}}",
        refused: &[
            ("{backup: {enabled: true}}", "repository: backups need one"),
            (
                "{backup: {repository: {s3: {bucket: backups}, pvc: {size: 1Gi}}}}",
                "pvc: there is one repository",
            ),
            ("{backup: {repository: {s3: {bucket: ''}}}}", "spec.backup.repository.s3.bucket"),
            ("{backup: {repository: {pvc: {size: none}}}}", "spec.backup.repository.pvc.size"),
            ("{backup: {schedule: '0 25 * * *'}}", "spec.backup.schedule"),
            ("{backup: {schedule: 'daily'}}", "spec.backup.schedule"),
            ("{backup: {schedule: '0 2 * *'}}", "spec.backup.schedule"),
            ("{backup: {retentionDays: 0}}", "spec.backup.retentionDays"),
            ("{backup: {restorePointIntervalMinutes: 0}}", "spec.backup.restorePointIntervalMinutes"),
        ],
    },
    Case {
        accepted: "{backup: {enabled: true, repository: {pvc: {size: 50Gi}}, schedule: '@daily'}}",
        refused: &[("{backup: {enabled: true, repository: {pvc: {}}}}", "spec.backup.repository.pvc.size")],
    },
    Case {
        accepted: "{bootstrap: {restore: {serverGroup: old, targetTime: '2026-03-01T12:00:00Z'}}}",
        refused: &[
            ("{bootstrap: {restore: {backup: b1}}}", "serverGroup: the group whose backup"),
            ("{bootstrap: {restore: {serverGroup: old, targetTime: yesterday}}}", "restore.targetTime"),
            (
                "{bootstrap: {restore: {serverGroup: old, targetTime: '2026-03-01T12:00:00Z', targetRestorePoint: p}}}",
                "targetRestorePoint: the target is",
            ),
        ],
    },
    Case {
        accepted: "{update: {primaryMethod: Restart, strategy: Supervised, maxUnavailableNodes: 2}}",
        refused: &[
            ("{update: {maxUnavailableNodes: 0}}", "spec.update.maxUnavailableNodes"),
            ("{update: {primaryMethod: Hope}}", "spec.update.primaryMethod"),
            ("{update: {strategy: Wild}}", "spec.update.strategy"),
        ],
    },
    Case {
        accepted: "{monitoring: {podMonitor: {enabled: true, interval: 1m30s, labels: {release: prometheus}}}}",
        refused: &[("{monitoring: {podMonitor: {interval: often}}}", "spec.monitoring.podMonitor.interval")],
    },
    Case {
        accepted: "{scheduling: {antiAffinity: Required, nodeSelector: {disk: ssd}, tolerations: [{key: db, operator: Exists}], \
                    topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}]}}",
        refused: &[
            ("{scheduling: {antiAffinity: Never}}", "spec.scheduling.antiAffinity"),
            ("{scheduling: {tolerations: [{operator: Likes}]}}", "spec.scheduling.tolerations[0].operator"),
            (
                "{scheduling: {topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone}]}}",
                "spec.scheduling.topologySpreadConstraints[0].whenUnsatisfiable",
            ),
        ],
    },
    Case {
        accepted: "{persistentVolumeClaimRetention: {whenDeleted: Delete, whenScaled: Retain}, paused: true, hibernate: true}",
        refused: &[
            ("{persistentVolumeClaimRetention: {whenDeleted: Keep}}", "whenDeleted"),
            ("{paused: 1}", "spec.paused"),
            ("{hibernate: 'yes'}", "spec.hibernate"),
        ],
    },
    Case {
        accepted: "{podTemplateOverlay: {metadata: {annotations: {a: b}}}}",
        refused: &[("{podTemplateOverlay: []}", "spec.podTemplateOverlay")],
    },
];

pub(super) const CHANGES: &[Change] = &[
    Change {
        from: "{postgresVersion: '16'}",
        accepted: &["{postgresVersion: '16'}", "{postgresVersion: '17'}"],
        refused: &[("{postgresVersion: '15'}", "spec.postgresVersion"), ("{}", "spec.postgresVersion")],
    },
    Change {
        from: "{database: app, adminUser: citus}",
        accepted: &["{}", "{workers: {count: 3}}"],
        refused: &[
            ("{database: other}", "spec.database: Invalid value: \"string\": this field is immutable"),
            ("{adminUser: other}", "spec.adminUser: Invalid value: \"string\": this field is immutable"),
            ("{bootstrap: {restore: {serverGroup: old}}}", "spec.bootstrap"),
        ],
    },
    Change {
        from: "{workers: {storage: {size: 10Gi}}, coordinator: {storage: {size: 1Gi, className: fast}}}",
        accepted: &[
            "{workers: {storage: {size: 10240Mi}}, coordinator: {storage: {size: 2Gi, className: fast}}}",
            "{workers: {storage: {size: 10Gi}, overrides: [{index: 0, storage: {size: 10Gi}}]}, \
              coordinator: {storage: {size: 1Gi, className: fast}}}",
            "{workers: {storage: {size: 10Gi}, overrides: [{index: 5, storage: {size: 1Gi}}]}, \
              coordinator: {storage: {size: 1Gi, className: fast}}}",
        ],
        refused: &[
            (
                "{workers: {storage: {size: 9Gi}}, coordinator: {storage: {size: 1Gi, className: fast}}}",
                "spec.workers.storage.size",
            ),
            (
                "{workers: {storage: {size: 10Gi}}, coordinator: {storage: {size: 1G, className: fast}}}",
                "spec.coordinator.storage.size",
            ),
            (
                "{workers: {storage: {size: 10Gi}}, coordinator: {storage: {size: 1Gi, className: slow}}}",
                "spec.coordinator.storage.className",
            ),
            (
                "{workers: {storage: {size: 10Gi}, overrides: [{index: 1, storage: {size: 5Gi}}]}, \
                  coordinator: {storage: {size: 1Gi, className: fast}}}",
                "overrides: storage.size of a worker",
            ),
        ],
    },
    Change {
        from: "{workers: {storage: {size: 10Gi}, overrides: [{index: 1, storage: {size: 20Gi}}]}}",
        accepted: &[
            "{workers: {storage: {size: 10Gi}, overrides: [{index: 1, storage: {size: 30Gi}}]}}",
            "{workers: {storage: {size: 20Gi}}}",
        ],
        refused: &[
            (
                "{workers: {storage: {size: 10Gi}, overrides: [{index: 1, storage: {size: 15Gi}}]}}",
                "spec.workers.overrides[0].storage.size",
            ),
            ("{workers: {storage: {size: 15Gi}}}", "overrides: without its override"),
        ],
    },
];

pub(super) const OPERATIONS: &[Case] = &[
    Case {
        accepted: "{serverGroup: demo, type: Restart}",
        refused: &[
            ("{type: Restart}", "spec.serverGroup"),
            ("{serverGroup: demo, type: Explode}", "spec.type"),
            ("{serverGroup: demo, type: Restart, node: x1}", "spec.node"),
        ],
    },
    Case {
        accepted: "{serverGroup: demo, type: Switchover, node: w0}",
        refused: &[
            ("{serverGroup: demo, type: Switchover}", "node: this operation is for one node"),
            ("{serverGroup: demo, type: DrainNode}", "node: this operation is for one node"),
        ],
    },
    Case {
        accepted: "{serverGroup: demo, type: ForceFailover, node: coordinator, acknowledgeDataLoss: true}",
        refused: &[(
            "{serverGroup: demo, type: ForceFailover, node: w1}",
            "acknowledgeDataLoss: a forced failover",
        )],
    },
    Case {
        accepted: "{serverGroup: demo, type: CreateRestorePoint, restorePoint: before}",
        refused: &[(
            "{serverGroup: demo, type: CreateRestorePoint}",
            "restorePoint: the restore point needs a name",
        )],
    },
];

pub(super) const NODES: &[Case] = &[Case {
    accepted: "{serverGroup: demo, node: coordinator}",
    refused: &[("{serverGroup: demo, node: master}", "spec.node"), ("{node: w0}", "spec.serverGroup")],
}];
