//! Runs an external program on untrusted bytes: with limits, without a network, and not longer than this process.
//!
//! `prlimit` sets the limits, `setpriv --pdeathsig` ends the child with this process, and `unshare` removes the
//! network; all are from util-linux. Each program replaces itself by the next one, so that the child is the external
//! program in the end. If namespaces are not available on a machine (for example in a container that forbids them),
//! there is one warning, and the network stays open. The limits are always set.

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
use crate::text::words;

/// The maximum sizes of the standard output and of the standard error that are kept, in bytes. The rest is read and
/// dropped.
const MOST_OUTPUT: usize = 1024 * 1024;
const MOST_ERRORS: usize = 4096;
/// The maximum number of characters of the standard error in a message.
const MOST_TOLD: usize = 400;
/// How often the meter is called.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// The limits of a child.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChildLimits {
    /// The address space in bytes.
    pub memory: u64,
    /// The maximum size of any file that it writes, in bytes.
    pub file: u64,
    /// The deadline. It also limits the processor time.
    pub deadline: Instant,
}

/// How a child is isolated from the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Network {
    /// With a user namespace and a network namespace.
    UserNamespace,
    /// With a network namespace only.
    Namespace,
    /// Not isolated, because neither is allowed here.
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

    /// The strictest isolation that this machine allows and in which the file can be read and the folder can be
    /// written. In a user namespace even the superuser cannot access files of other users.
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

/// Logs only once that the network is open.
static TOLD: Once = Once::new();

/// A run of a program.
pub(super) struct Run<'a> {
    /// The path of the program.
    pub program: &'a Path,
    /// Its first argument, for messages.
    pub command: &'static str,
    /// All arguments.
    pub arguments: Vec<OsString>,
    /// Its working directory, which no other program uses.
    pub directory: &'a Path,
    /// Its limits.
    pub limits: ChildLimits,
    /// Its isolation from the network.
    pub network: Network,
    /// Called regularly with the result of `written`.
    pub meter: &'a dyn Meter,
    /// Returns the bytes that it has written to the disk so far.
    pub written: &'a dyn Fn() -> u64,
    /// Called with its standard output as it is written.
    pub heard: &'a dyn Fn(&[u8]),
}

impl Run<'_> {
    /// Runs the program and returns its standard output. On an error, all its processes have ended.
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
        // `LC_ALL`: its messages are parsed. `MALLOC_ARENA_MAX`: each arena of its allocator counts against the address
        // space.
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
            // It is not an error if it has already ended.
            let _gone = kill_process_group(group, Signal::KILL);
        }
        let _reaped = child.wait().await;
    }

    fn failed(&self, said: String) -> ConvertError {
        ConvertError::Failed { command: self.command, said }
    }
}

/// Reads everything, and keeps the first `most` bytes.
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

/// The standard error of a program in one line, or how it ended if there is none.
fn told(status: ExitStatus, errors: &[u8]) -> String {
    let said: String = words(errors).chars().take(MOST_TOLD).collect();
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

/// Searches a program by its name in the directories of `PATH`.
pub fn find_program(name: &Path) -> Option<PathBuf> {
    if name.is_absolute() {
        return name.is_file().then(|| name.to_owned());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file())
}
