//! The spool in a process that is killed at any moment, or whose disk does not take what it writes.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use vmcatcher_operator::events::Spool;

const PROBE: &str = env!("CARGO_BIN_EXE_spool");

fn probe(directory: &Path, first: u64, count: u64) -> Child {
    let mut command = Command::new(PROBE);
    command.arg(directory).arg(first.to_string()).arg(count.to_string());
    command.stdout(Stdio::piped()).spawn().unwrap()
}

/// What a process said, over all runs.
#[derive(Default)]
struct Said {
    appended: Vec<u64>,
    delivered: Vec<u64>,
    remaining: Option<u64>,
}

impl Said {
    fn read(&mut self, line: &str) {
        let Some((word, number)) = line.trim_end().split_once(' ') else { return };
        let number = || number.parse().unwrap();
        match word {
            "appended" => self.appended.push(number()),
            "delivered" => self.delivered.push(number()),
            "remaining" => self.remaining = Some(number()),
            _ => panic!("{line}"),
        }
    }

    /// Reads all that a process says, and kills it after so many lines.
    fn read_until_killed(&mut self, mut child: Child, lines: usize) {
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let mut count = 0;
        while output.read_line(&mut line).unwrap() > 0 {
            // The last one may be a part.
            if line.ends_with('\n') {
                self.read(&line);
            }
            line.clear();
            count += 1;
            if count == lines {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
    }
}

#[test]
fn killed_at_twenty_moments_every_event_arrives_in_order() {
    let seed: u64 = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    eprintln!("SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("spool");
    let mut said = Said::default();
    let mut first = 0;
    for _ in 0..20 {
        said.read_until_killed(probe(&directory, first, 5000), random.usize(1..400));
        // What was appended, but not said so, may be delivered: the caller appends it again.
        first = said.appended.last().map_or(0, |last| last + 1);
    }
    said.read_until_killed(probe(&directory, first, 100), usize::MAX);
    assert_eq!(said.remaining, Some(0));
    let appended = first + 100;
    assert_eq!(said.appended, (0..appended).collect::<Vec<_>>());
    // In order: a number that was not delivered before comes behind all lower ones.
    let mut arrived = BTreeSet::new();
    for number in &said.delivered {
        assert!(
            !arrived.insert(*number) || arrived.range(..number).count() == usize::try_from(*number).unwrap(),
            "{number}"
        );
    }
    assert!(arrived.into_iter().eq(0..appended), "all, and nothing else");
    assert!(appended > 500, "{appended}");
}

/// `ulimit -f` is in units of 512 bytes. A write over it is done in part, and then fails with `EFBIG`.
#[test]
fn a_write_that_is_done_in_part_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("spool");
    let script = "trap '' XFSZ; ulimit -f 9; exec \"$0\" \"$@\"";
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script, PROBE]).arg(&directory).args(["0", "1000"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let numbers = |word: &str| -> Vec<u64> {
        let words = text.lines().filter_map(|line| line.strip_prefix(word)?.strip_prefix(' '));
        words.map(|rest| rest.split(' ').next().unwrap().parse().unwrap()).collect()
    };
    let (appended, failed) = (numbers("appended"), numbers("failed"));
    let next = u64::try_from(appended.len()).unwrap();
    assert!(next > 5 && failed == vec![next; 10], "{text}");
    assert_eq!((appended, numbers("delivered")), ((0..next).collect(), (0..next).collect()));
    let log = fs::read(directory.join("00000000000000000001.log")).unwrap();
    assert!(log.len() < 9 * 512 && log.ends_with(b"\n"), "{} bytes", log.len());
    let records = Spool::read_only(&directory).records(1).unwrap();
    assert_eq!(records.map(|record| record.unwrap().0).collect::<Vec<_>>(), (1..=next).collect::<Vec<_>>());
    // Without the limit it goes on.
    let mut said = Said::default();
    said.read_until_killed(probe(&directory, next, 50), usize::MAX);
    assert_eq!((said.delivered, said.remaining), ((next..next + 50).collect(), Some(0)));
}
