//! One run of a handler: a process group of its own, with limits of time and output.
//!
//! The group is signalled as long as its leader is not reaped: until then no other group can have its number. So the
//! end of the leader is observed without reaping it (`WNOWAIT`, waitid(2)).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::future::{Future, pending};
use std::io;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, test_kill_process_group, waitid};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};
use tokio::time::{sleep, timeout};

use super::output::Output;

/// How long a group that got SIGTERM may take to end before it gets SIGKILL.
const GRACE: Duration = Duration::from_secs(5);
/// How long output is read after a handler has ended and processes that it left hold the pipe.
const AFTER_THE_END: Duration = Duration::from_millis(500);
/// How long processes may take to vanish after SIGKILL.
const VANISH: Duration = Duration::from_secs(1);
const VANISH_CHECK: Duration = Duration::from_millis(10);
/// How many bytes are read at once.
const PIPE_BUFFER: usize = 16 << 10;
/// How often, and after which pause, a program is tried that another process is just writing.
const BUSY_TRIES: u32 = 20;
const BUSY_PAUSE: Duration = Duration::from_millis(50);

/// How a handler ended.
#[derive(Debug)]
pub(super) enum End {
    /// It ended by itself, or by a signal that this program did not send.
    Exited(ExitStatus),
    /// It did not end in time, and was ended.
    TimedOut,
    /// It could not be started.
    NotStarted(io::Error),
}

/// A program to run.
pub(super) struct Program {
    /// Its path, or a name without `/` that is searched in `PATH`.
    pub path: OsString,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// All environment variables that it has.
    pub environment: BTreeMap<OsString, OsString>,
    /// After this time it gets SIGTERM.
    pub timeout: Duration,
}

impl Program {
    /// Runs the program, and returns how it ended and what it wrote. No process of its group is left then, but for one
    /// that the kernel cannot end. If the future is dropped, the group gets SIGKILL.
    pub(super) async fn run(&self) -> (End, Output) {
        let mut output = Output::default();
        let end = match self.start().await {
            Ok(running) => running.end(self.timeout, &mut output).await,
            Err(error) => End::NotStarted(error),
        };
        (end, output)
    }

    async fn start(&self) -> io::Result<Running> {
        let children = signal(SignalKind::child())?;
        let (reader, writer) = io::pipe()?;
        let output = Receiver::from_owned_fd(OwnedFd::from(reader))?;
        let mut command = Command::new(&self.path);
        command.args(&self.arguments).current_dir("/").env_clear().envs(&self.environment).process_group(0);
        command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
        let mut tries = 1;
        loop {
            match command.spawn() {
                Ok(child) => return Running::new(child, children, output),
                Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && tries < BUSY_TRIES => tries += 1,
                Err(error) => return Err(error),
            }
            sleep(BUSY_PAUSE).await;
        }
    }
}

/// A handler that runs. The group is dropped first, when the child is not reaped.
struct Running {
    group: Group,
    child: Child,
    children: SignalStream,
    pipe: Pipe,
}

impl Running {
    fn new(child: Child, children: SignalStream, output: Receiver) -> io::Result<Self> {
        let leader = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let leader = leader.ok_or_else(|| io::Error::other("it has no process number"))?;
        let group = Group { leader, is_reaped: false };
        let pipe = Pipe { receiver: output, is_open: true, buffer: vec![0; PIPE_BUFFER] };
        Ok(Self { group, child, children, pipe })
    }

    async fn end(mut self, limit: Duration, output: &mut Output) -> End {
        let leader = self.group.leader;
        let ended = self.pipe.read_during(exited(leader, &mut self.children), output);
        let in_time = timeout(limit, ended).await.is_ok();
        // What a time-out means is handled by what comes after it.
        let _ended = if in_time {
            timeout(AFTER_THE_END, self.pipe.read_to_end(output)).await
        } else {
            self.group.send(Signal::TERM);
            let ended = async {
                self.pipe.read_during(exited(leader, &mut self.children), output).await;
                self.pipe.read_to_end(output).await;
            };
            timeout(GRACE, ended).await
        };
        self.group.send(Signal::KILL);
        let status = timeout(VANISH, self.child.wait()).await;
        self.group.is_reaped = status.is_ok();
        drop(self.pipe);
        if self.group.is_reaped {
            vanished(leader).await;
        }
        match status {
            Ok(Ok(status)) if in_time => End::Exited(status),
            Ok(Err(error)) if in_time => End::NotStarted(error),
            _ => End::TimedOut,
        }
    }
}

/// A process group. It gets SIGKILL when this is dropped before its leader is reaped.
struct Group {
    leader: Pid,
    is_reaped: bool,
}

impl Group {
    fn send(&self, signal: Signal) {
        // It is not an error if all have ended.
        let _gone = kill_process_group(self.leader, signal);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.is_reaped {
            self.send(Signal::KILL);
        }
    }
}

/// The pipe that is the standard output and the standard error of a handler.
struct Pipe {
    receiver: Receiver,
    is_open: bool,
    buffer: Vec<u8>,
}

impl Pipe {
    /// Reads until something else is done.
    async fn read_during<T>(&mut self, done: impl Future<Output = T>, output: &mut Output) -> T {
        let mut done = pin!(done);
        loop {
            tokio::select! {
                biased;
                result = &mut done => return result,
                () = self.read(output), if self.is_open => {}
            }
        }
    }

    /// Reads until no process holds the other end.
    async fn read_to_end(&mut self, output: &mut Output) {
        while self.is_open {
            self.read(output).await;
        }
    }

    async fn read(&mut self, output: &mut Output) {
        match self.receiver.read(&mut self.buffer).await {
            Ok(count @ 1..) => output.push(&self.buffer[..count]),
            Ok(0) | Err(_) => self.is_open = false,
        }
    }
}

/// Waits until a child has ended, and does not reap it.
async fn exited(leader: Pid, children: &mut SignalStream) {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    while let Ok(None) | Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(leader), options) {
        if children.recv().await.is_none() {
            // No signal comes any more: the time limit ends the wait.
            pending::<()>().await;
        }
    }
}

/// Waits until all processes of a group that got SIGKILL have vanished, for a limited time. If this process is the
/// first one of a container, it inherits and reaps them.
async fn vanished(group: Pid) {
    let are_gone = async {
        while test_kill_process_group(group).is_ok() {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
            if !matches!(waitid(WaitId::Pgid(Some(group)), options), Ok(Some(_))) {
                sleep(VANISH_CHECK).await;
            }
        }
    };
    let _late = timeout(VANISH, are_gone).await;
}
