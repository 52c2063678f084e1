//! Metrics of the process, with the usual names of Prometheus client libraries; from `/proc` (proc(5)).

use std::fs;
use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use rustix::process::{Resource, getrlimit};

/// Registers the metrics that the system provides.
pub(super) fn register(registry: &mut Registry) {
    if let Some(times) = Times::read() {
        let cpu: Counter<f64, AtomicU64> = Counter::default();
        cpu.inc_by(times.cpu);
        registry.register_with_unit(
            "process_cpu",
            "Time on processors, of users and of the system",
            Unit::Seconds,
            cpu,
        );
        let start: Gauge<f64, AtomicU64> = Gauge::default();
        start.set(times.start);
        registry.register_with_unit("process_start_time", "When the process was started", Unit::Seconds, start);
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(bytes) = size(&status, "VmRSS:") {
        registry.register_with_unit("process_resident_memory", "Memory that is in use", Unit::Bytes, gauge(bytes));
    }
    if let Some(bytes) = size(&status, "VmSize:") {
        registry.register_with_unit("process_virtual_memory", "Addresses that are in use", Unit::Bytes, gauge(bytes));
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // One of them is the file descriptor of this directory listing.
        let open = i64::try_from(open.count()).unwrap_or(i64::MAX) - 1;
        registry.register("process_open_fds", "File descriptors that are open", gauge(open));
    }
    if let Some(most) = getrlimit(Resource::Nofile).current {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        registry.register("process_max_fds", "The most file descriptors that may be open", gauge(most));
    }
}

fn gauge(value: i64) -> Gauge {
    let gauge = Gauge::default();
    gauge.set(value);
    gauge
}

/// Times in seconds.
#[derive(Debug, PartialEq)]
struct Times {
    /// Processor time.
    cpu: f64,
    /// Start of the process, since 1970.
    start: f64,
}

impl Times {
    fn read() -> Option<Self> {
        let (own, system) = (fs::read_to_string("/proc/self/stat").ok()?, fs::read_to_string("/proc/stat").ok()?);
        Self::of(&own, &system, rustix::param::clock_ticks_per_second())
    }

    /// The command name in parentheses can contain any characters. The fields after it are numbers, beginning with the
    /// third field.
    fn of(own: &str, system: &str, ticks: u64) -> Option<Self> {
        let (_, fields) = own.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let seconds = |field: usize| -> Option<f64> {
            let ticks_then: f64 = fields.get(field - 3)?.parse().ok()?;
            Some(ticks_then / u32::try_from(ticks).map(f64::from).ok()?)
        };
        let boot: f64 = system.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
        Some(Self { cpu: seconds(14)? + seconds(15)?, start: boot + seconds(22)? })
    }
}

/// A size from `/proc/self/status`, converted from KiB to bytes.
fn size(status: &str, name: &str) -> Option<i64> {
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    value.trim().strip_suffix("kB")?.trim().parse::<i64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_proc_tells_is_read() {
        let own = "42 (a) b (c)) S 1 42 42 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 9 0 1000 1 2 3";
        let times = Times::of(own, "cpu 1\nbtime 1700000000\n", 100);
        assert_eq!(times, Some(Times { cpu: 2.0, start: 1_700_000_010.0 }));
        for (own, system) in [("", "btime 1"), (own, ""), ("42 (a) S 1", "btime 1")] {
            assert_eq!(Times::of(own, system, 100), None);
        }
        assert_eq!(size("VmSize:\t 10 kB\nVmRSS:\t   3 kB\n", "VmRSS:"), Some(3072));
        assert_eq!(size("VmRSS:\t   3 MB\n", "VmRSS:"), None);
    }
}
