//! A program of others, run on bytes of others: with limits, without a network, and not longer than this one lives.
//!
//! Limits are set by `prlimit`, the bond to this process by `setpriv --pdeathsig` and the network is taken away by
//! `unshare`, all of util-linux: each replaces itself by the next, so that the child is the program in the end. What
//! cannot be had on a machine (name spaces in a container that forbids them) is told once and done without; limits are
//! never done without.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use super::error::ConvertError;
use super::unpack::Meter;

/// What a program says beyond this is read and dropped.
const MOST_OUTPUT: usize = 1024 * 1024;
const MOST_ERRORS: usize = 4096;
/// Of these, so many characters are told.
const MOST_TOLD: usize = 400;
/// How often the meter is asked.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// What a child may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChildLimits {
    /// Bytes of address space.
    pub memory: u64,
    /// Bytes of any file that it writes.
    pub file: u64,
    /// When it has to be done; its time on processors is bounded by the same.
    pub deadline: Instant,
}

/// How children are kept from the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Network {
    /// By name spaces of a user that has the right to no other.
    UserNamespace,
    /// By a name space of its own.
    Namespace,
    /// Not at all: neither is allowed here.
    Open,
}

impl Network {
    const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::UserNamespace => &["unshare", "--user", "--map-current-user", "--net", "--"],
            Self::Namespace => &["unshare", "--net", "--"],
            Self::Open => &[],
        }
    }

    /// The strictest way that this machine allows, and in which this file can be read and this folder be written: within
    /// name spaces of a user, even the superuser is kept from what belongs to others.
    pub(super) async fn probe(reads: &Path, writes: &Path) -> Self {
        for way in [Self::UserNamespace, Self::Namespace] {
            let Some((program, arguments)) = way.arguments().split_first() else { continue };
            let mut command = Command::new(program);
            command.args(arguments).args(["test", "-r"]).arg(reads).args(["-a", "-w"]).arg(writes);
            command.args(["-a", "-x"]).arg(writes);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
            if command.status().await.is_ok_and(|status| status.success()) {
                return way;
            }
        }
        TOLD.call_once(|| {
            tracing::warn!(
                "qemu-img runs with the network of this process: unshare --net is not allowed here, or not there"
            );
        });
        Self::Open
    }
}

/// That the network is open is told once.
static TOLD: Once = Once::new();

/// A program with its arguments.
pub(super) struct Run<'a> {
    /// Where it is.
    pub program: &'a Path,
    /// For messages: its first argument.
    pub command: &'static str,
    /// All of them.
    pub arguments: Vec<OsString>,
    /// Where it runs: a directory of its own.
    pub directory: &'a Path,
    /// What it may take.
    pub limits: ChildLimits,
    /// How it is kept from the network.
    pub network: Network,
    /// Asked on the way with what `written` says.
    pub meter: &'a dyn Meter,
    /// Bytes on the disk that it has written so far.
    pub written: &'a dyn Fn() -> u64,
    /// Told of what it says, as it says it.
    pub heard: &'a dyn Fn(&[u8]),
}

impl Run<'_> {
    /// Its standard output, when it has ended well. In every other case nothing of it runs any more.
    pub(super) async fn output(self) -> Result<Vec<u8>, ConvertError> {
        let mut child = self.command_line().spawn().map_err(|error| self.failed(error.to_string()))?;
        let ended = self.wait(&mut child).await;
        if ended.is_err() {
            self.kill(&mut child).await;
        }
        let (status, output, errors) = ended?;
        if status.success() { Ok(output) } else { Err(self.failed(told(status, &errors))) }
    }

    fn command_line(&self) -> Command {
        let seconds = self.limits.deadline.saturating_duration_since(Instant::now()).as_secs() + 1;
        let limits = [
            format!("--as={}", self.limits.memory),
            format!("--cpu={seconds}"),
            format!("--fsize={}", self.limits.file),
            "--core=0".to_owned(),
            "--nofile=64".to_owned(),
        ];
        let bond = ["setpriv", "--pdeathsig", "KILL", "--no-new-privs", "--", "prlimit"].map(str::to_owned);
        let network = self.network.arguments().iter().map(|argument| (*argument).to_owned());
        let mut line = network.chain(bond).chain(limits).chain(["--".to_owned()]);
        let mut command = Command::new(line.next().unwrap_or_default());
        command.args(line).arg(self.program).args(&self.arguments).current_dir(self.directory).env_clear();
        // Its messages are matched, and its allocator keeps to few arenas: each counts against the address space.
        command.env("LC_ALL", "C").env("MALLOC_ARENA_MAX", "2");
        command.env("PATH", std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        command
    }

    async fn wait(&self, child: &mut Child) -> Result<(ExitStatus, Vec<u8>, Vec<u8>), ConvertError> {
        let (output, errors) = (child.stdout.take(), child.stderr.take());
        let ended = async {
            tokio::join!(child.wait(), read(output, MOST_OUTPUT, self.heard), read(errors, MOST_ERRORS, &|_| {}))
        };
        let mut ended = std::pin::pin!(ended);
        let mut ticks = interval(ASK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                (status, output, errors) = &mut ended => {
                    let status = status.map_err(|error| self.failed(error.to_string()))?;
                    return Ok((status, output, errors));
                }
                _ = ticks.tick() => self.meter.check((self.written)())?,
                () = sleep_until(self.limits.deadline.into()) => return self.meter.check((self.written)()).and_then(|()| {
                    Err(self.failed("expected it to end in time, found it running".to_owned()))
                }),
            }
        }
    }

    async fn kill(&self, child: &mut Child) {
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(group) = group {
            // Gone already is as good.
            let _gone = kill_process_group(group, Signal::KILL);
        }
        let _reaped = child.wait().await;
    }

    fn failed(&self, said: String) -> ConvertError {
        ConvertError::Failed { command: self.command, said }
    }
}

/// Reads to the end, and keeps the beginning.
async fn read(from: Option<impl AsyncRead + Unpin>, most: usize, heard: &dyn Fn(&[u8])) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut from) = from else { return kept };
    let mut buffer = vec![0; 8192];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        heard(&buffer[..count]);
        let room = most.saturating_sub(kept.len());
        kept.extend_from_slice(&buffer[..count.min(room)]);
    }
    kept
}

/// What a program said, in one line; how it ended where it said nothing.
fn told(status: ExitStatus, errors: &[u8]) -> String {
    let text = String::from_utf8_lossy(errors);
    let words: Vec<&str> =
        text.split(|c: char| c.is_control() || c.is_whitespace()).filter(|w| !w.is_empty()).collect();
    let said: String = words.join(" ").chars().take(MOST_TOLD).collect();
    let end = match (status.signal(), status.code()) {
        (Some(signal), _) if signal == Signal::XCPU.as_raw() => {
            "it took more time on the processor than it may".to_owned()
        }
        (Some(signal), _) if signal == Signal::XFSZ.as_raw() => "it wrote a larger file than it may".to_owned(),
        (Some(signal), _) => format!("it was ended by signal {signal}"),
        (None, code) => format!("it ended with {}", code.unwrap_or(-1)),
    };
    if said.is_empty() { end } else { said }
}

/// A program by its name, in the directories of `PATH`.
pub(super) fn find_program(name: &Path) -> Option<PathBuf> {
    if name.is_absolute() {
        return name.is_file().then(|| name.to_owned());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file())
}
