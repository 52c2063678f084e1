//! The metrics of events. They are computed for each request, so sinks that no longer exist are not included.

use std::collections::BTreeMap;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::settings::SinkName;
use super::sink_state::SinkState;
use super::spool::SpoolStatus;

type Labels = Vec<(&'static str, String)>;

/// Registers the metrics of the spool and of the sinks. Nothing if there are no sinks.
pub fn register_metrics(spool: &SpoolStatus, sinks: &BTreeMap<SinkName, SinkState>, registry: &mut Registry) {
    if spool.sinks.is_empty() {
        return;
    }
    let [delivered, refused, lost, errors] = std::array::from_fn(|_| Family::<Labels, Counter>::default());
    let [waiting, oldest] = std::array::from_fn(|_| Family::<Labels, Gauge>::default());
    for (sink, waits) in &spool.sinks {
        let labels = vec![("sink", sink.to_string())];
        let state = sinks.get(sink).cloned().unwrap_or_default();
        delivered.get_or_create(&labels).inc_by(state.delivered);
        refused.get_or_create(&labels).inc_by(state.refused);
        lost.get_or_create(&labels).inc_by(waits.lost);
        waiting.get_or_create(&labels).set(signed(waits.events));
        if let Some(time) = waits.oldest {
            oldest.get_or_create(&labels).set(time.as_second());
        }
        for (reason, count) in state.errors {
            let labels = vec![("sink", sink.to_string()), ("reason", reason.to_owned())];
            errors.get_or_create(&labels).inc_by(count);
        }
    }
    registry.register("events_delivered", "Events that the receiver of the sink took", delivered);
    registry.register("events_refused", "Events that the receiver refused for good", refused);
    registry.register("events_lost", "Events that the sink lost: the spool was full or damaged", lost);
    registry.register("event_sink_errors", "Deliveries that failed and are tried again, by reason", errors);
    registry.register("events_waiting", "Events in the spool that wait for the sink", waiting);
    let help = "When the event occurred that waits longest; absent where none waits";
    registry.register_with_unit("events_oldest_waiting_timestamp", help, Unit::Seconds, oldest);
    let help = ["Bytes of the spool of events", "The most bytes of the spool of events"];
    for (name, help, bytes) in [("events_spool", help[0], spool.bytes), ("events_spool_limit", help[1], spool.limit)] {
        let gauge = Gauge::<i64>::default();
        gauge.set(signed(bytes));
        registry.register_with_unit(name, help, Unit::Bytes, gauge);
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::super::sink_state::SinkStates;
    use super::super::spool::Waiting;
    use super::*;

    #[test]
    fn each_sink_has_its_figures() {
        let sink = SinkName::new("log").unwrap();
        let states = SinkStates::default();
        states.handled(&sink, 3, 1);
        states.failed(&sink, "Busy", "full".into());
        states.failed(&sink, "Busy", "full".into());
        let waits = Waiting {
            events: 7,
            lost: 2,
            oldest: Some(jiff::Timestamp::from_second(5).unwrap()),
            ..Waiting::default()
        };
        let spool = SpoolStatus { bytes: 10, limit: 20, sinks: BTreeMap::from([(sink, waits)]) };
        let mut registry = Registry::with_prefix("vmcatcher");
        register_metrics(&spool, &states.all(), &mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let samples: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let expected = [
            "vmcatcher_events_delivered_total{sink=\"log\"} 3",
            "vmcatcher_events_refused_total{sink=\"log\"} 1",
            "vmcatcher_events_lost_total{sink=\"log\"} 2",
            "vmcatcher_event_sink_errors_total{sink=\"log\",reason=\"Busy\"} 2",
            "vmcatcher_events_waiting{sink=\"log\"} 7",
            "vmcatcher_events_oldest_waiting_timestamp_seconds{sink=\"log\"} 5",
            "vmcatcher_events_spool_bytes 10",
            "vmcatcher_events_spool_limit_bytes 20",
        ];
        assert_eq!(samples, expected);
        let mut registry = Registry::default();
        register_metrics(&SpoolStatus::default(), &BTreeMap::new(), &mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        assert_eq!(text, "# EOF\n");
    }
}
