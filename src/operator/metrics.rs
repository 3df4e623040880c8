//! What Prometheus is told of the operator.
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Outcome {
    result: &'static str,
}

/// Cheap to clone: all clones count together.
#[derive(Clone)]
pub(crate) struct Metrics {
    turns: Family<Outcome, Counter>,
    seconds: Histogram,
    leads: Gauge,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            turns: Family::default(),
            seconds: Histogram::new(exponential_buckets(0.01, 2.0, 14)),
            leads: Gauge::default(),
        };
        registry.register("howdah_operator_reconciles", "Turns of server groups", metrics.turns.clone());
        registry.register_with_unit(
            "howdah_operator_reconcile_duration",
            "How long turns take",
            Unit::Seconds,
            metrics.seconds.clone(),
        );
        registry.register("howdah_operator_leader", "1 in the process that acts", metrics.leads.clone());
        metrics
    }

    pub(crate) fn turn(&self, took: Duration, ok: bool) {
        let result = if ok { "ok" } else { "error" };
        self.turns.get_or_create(&Outcome { result }).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn leads(&self, leads: bool) {
        self.leads.set(i64::from(leads));
    }
}
