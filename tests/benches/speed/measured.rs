//! What a process took: time, processor time with its children, and the most memory.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How often the memory of a process is looked at.
const LOOK: Duration = Duration::from_millis(3);
/// The runs of which the best counts.
pub(crate) const RUNS: usize = 3;

/// What a process took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Took {
    pub(crate) wall: Duration,
    pub(crate) processor: Duration,
    /// The highest resident memory of the process itself, in KiB.
    pub(crate) peak: u64,
}

/// Runs a command to its end, which is a good one.
pub(crate) fn run(command: &mut Command) -> Took {
    let before = children();
    let began = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("the command starts");
    let mut peak = 0;
    let status = loop {
        peak = resident(&child).unwrap_or(peak);
        match child.try_wait().unwrap() {
            Some(status) => break status,
            #[allow(clippy::disallowed_methods, reason = "its memory is looked at again and again")]
            None => std::thread::sleep(LOOK),
        }
    };
    let wall = began.elapsed();
    assert!(status.success(), "{command:?}: {status}");
    Took { wall, processor: children().saturating_sub(before), peak }
}

/// A script of the shell.
pub(crate) fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-ec", script]);
    command
}

/// The same of a command and then a sync of the file system of a folder, as one.
pub(crate) fn run_and_sync(command: &mut Command, folder: &Path) -> Took {
    let took = run(command);
    let synced = run(Command::new("sync").arg("-f").arg(folder));
    Took { wall: took.wall + synced.wall, processor: took.processor + synced.processor, ..took }
}

/// Keeps the better of two, and the higher peak.
pub(crate) fn better(best: &mut Option<Took>, took: Took) {
    let faster = best.filter(|best| best.wall <= took.wall).unwrap_or(took);
    let peak = best.map_or(took.peak, |best| best.peak.max(took.peak));
    *best = Some(Took { peak, ..faster });
}

/// Prints both, and how many times as fast the program is and which part of the processor time it takes.
pub(crate) fn report(what: &str, ours: Took, baseline: (&str, Took)) {
    let (name, theirs) = baseline;
    let seconds = |duration: Duration| duration.as_secs_f64();
    println!(
        "{what}: {:.2} s, {:.2} s of processors, at most {} MiB; {name}: {:.2} s, {:.2} s of processors; speed {:.2}, \
         processor {:.2}",
        seconds(ours.wall),
        seconds(ours.processor),
        ours.peak >> 10,
        seconds(theirs.wall),
        seconds(theirs.processor),
        seconds(theirs.wall) / seconds(ours.wall),
        seconds(ours.processor) / seconds(theirs.processor).max(0.01),
    );
}

/// The processor time of all children that have ended, in ticks of 10 ms.
fn children() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = text.rsplit_once(')').unwrap();
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks: u64 = fields[13].parse::<u64>().unwrap() + fields[14].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

fn resident(child: &Child) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}
