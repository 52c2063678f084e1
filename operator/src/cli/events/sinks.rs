//! Finds a sink by its name.

use std::path::Path;

use crate::events::SinkSettings;
use crate::events::config::Config;
use crate::text::nearest;

/// The sink of a configuration file with this name. `None` if there is none; this is logged then, with the names that
/// there are.
pub(super) fn named<'c>(config: &'c Config, file: &Path, name: &str) -> Option<&'c SinkSettings> {
    let sinks = &config.events.sinks;
    let found = sinks.iter().find(|sink| sink.name.as_str() == name);
    if found.is_none() {
        let known: Vec<&str> = sinks.iter().map(|sink| sink.name.as_str()).collect();
        log_unknown(name, &file.display().to_string(), &known);
    }
    found
}

/// Logs that no sink has this name, with those that have one.
pub(super) fn log_unknown(name: &str, place: &str, known: &[&str]) {
    if known.is_empty() {
        tracing::error!("expected the name of a sink, found {name:?}: {place} has no sinks");
        return;
    }
    let meant = nearest(name, known.iter().copied()).map(|near| format!("; is it {near}?")).unwrap_or_default();
    tracing::error!("expected the name of a sink, found {name:?}: {place} has {}{meant}", known.join(", "));
}
