//! `events test`: a sink gets one event, and what it does with it is shown.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use uuid::Uuid;

use super::super::operation::{instance, source, stopped};
use super::super::{NOT_GOOD, WRONG_USE, config, print};
use super::{sample, sinks};
use crate::events::{
    AnySink, CacheDirectories, Delivery, Event, ExecSink, Phase, Sink as _, SinkError, SinkKind, SinkSettings, Verdict,
};

/// What a person can do about a handler that refuses the event.
const HANDLERS: &str = "look at the output of the handler in the log of this command; a handler that is right for real \
                        images may refuse this one, whose file does not exist";
/// What a person can do about a receiver that refuses the event.
const RECEIVER: &str = "look at the log of the receiver: it was reached, and does not want this event";

/// Arguments of `events test`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The name of the sink
    #[arg(value_name = "SINK")]
    sink: String,
    /// The configuration file of the operator
    #[arg(long, value_name = "FILE", env = "VMCATCHER_CONFIG")]
    config: PathBuf,
    /// The volume. Handlers get the paths of its directories. It is not opened, and need not exist
    #[arg(long, value_name = "DIR", env = "VMCATCHER_VOLUME", default_value = "/var/lib/vmcatcher")]
    volume: PathBuf,
    /// The name of this installation, which is in the source of CloudEvents
    #[arg(long, value_name = "NAME", env = "VMCATCHER_INSTANCE", default_value = "vmcatcher", value_parser = instance)]
    instance: String,
}

/// Tries the sink.
pub(in crate::cli) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Some(config) = config::read_valid(&args.config)? else { return Ok(ExitCode::from(WRONG_USE)) };
    let Some(sink) = sinks::named(&config, &args.config, &args.sink) else { return Ok(ExitCode::from(WRONG_USE)) };
    let volume = std::path::absolute(&args.volume).context("the path of the volume cannot be made absolute")?;
    let trial = Trial {
        sink,
        directories: CacheDirectories::of_volume(&volume),
        source: source(&args.instance),
        session: Uuid::new_v4(),
    };
    let (kind, place) = config::receiver(&sink.kind);
    print(&format!("sink {} ({kind}): {place}\n", sink.name))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let is_good = runtime.block_on(async {
        tokio::select! {
            biased;
            () = stopped()? => bail!("the test was stopped before the sink had answered"),
            is_good = trial.run() => is_good,
        }
    })?;
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::from(NOT_GOOD) })
}

/// A sink that is tried.
struct Trial<'c> {
    sink: &'c SinkSettings,
    directories: CacheDirectories,
    source: String,
    session: Uuid,
}

impl Trial<'_> {
    /// Tries the phases that the sink gets, and shows what it did. Returns whether it took all.
    async fn run(&self) -> anyhow::Result<bool> {
        let gets = |phase: Phase| self.sink.filter.phases.contains(&phase);
        let asked = match &self.sink.kind {
            SinkKind::Exec(exec) if gets(Phase::Before) => {
                Some(ExecSink::new(exec.clone(), self.directories.clone()).ask(&self.event(Phase::Before)).await)
            }
            SinkKind::Exec(_) | SinkKind::Amqp(_) | SinkKind::Webhook(_) | SinkKind::File(_) => None,
        };
        if let Some(verdict) = &asked {
            print(&format!("Available before: {}\n", shown_verdict(verdict)))?;
        }
        let is_asked_only = asked.is_some() && !gets(Phase::After);
        let is_passed = asked.is_none_or(|verdict| verdict == Verdict::Passed);
        if is_asked_only {
            return Ok(is_passed);
        }
        let event = self.event(Phase::After);
        if !self.sink.filter.takes(&event) {
            let name = &self.sink.name;
            tracing::warn!(
                "the sink {name} gets no event Available after with this configuration; it is sent nevertheless"
            );
        }
        let mut receiver = AnySink::new(self.sink, &self.directories, &self.source);
        let delivery = receiver.deliver(std::slice::from_ref(&event)).await;
        let (text, is_taken) = self.shown_delivery(&delivery);
        print(&format!("Available after: {text}\n"))?;
        Ok(is_passed && is_taken)
    }

    fn event(&self, phase: Phase) -> Event {
        sample::event(phase, Uuid::new_v4(), self.session, Timestamp::now())
    }

    /// What is shown of a delivery, and whether the event was taken.
    fn shown_delivery(&self, delivery: &Delivery) -> (String, bool) {
        match (&delivery.stopped, delivery.refused.first(), delivery.handled) {
            (Some(error), _, _) => {
                (format!("not taken, it would be sent again: {error}\nWhat to do: {}", advice(error)), false)
            }
            (None, Some((_, words)), _) => {
                let advice = match &self.sink.kind {
                    SinkKind::Exec(_) => HANDLERS,
                    SinkKind::Amqp(_) | SinkKind::Webhook(_) | SinkKind::File(_) => RECEIVER,
                };
                (format!("refused, it would not be sent again: {words}\nWhat to do: {advice}"), false)
            }
            (None, None, 0) => ("not taken: the delivery ended early\nWhat to do: try again".to_owned(), false),
            (None, None, _) => ("taken".to_owned(), true),
        }
    }
}

fn shown_verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Passed => "passed, the step would be done".to_owned(),
        Verdict::Vetoed { handler, line } => {
            format!("vetoed by {handler}, the step would not be done: {line}\nWhat to do: {HANDLERS}")
        }
    }
}

/// What a person can do about an error.
const fn advice(error: &SinkError) -> &'static str {
    match error {
        SinkError::Unreachable { .. } => {
            "check the address, that the receiver runs, the way to it from this machine, and with TLS the authorities"
        }
        SinkError::Denied { .. } => {
            "check the credentials that the configuration names, and the rights at the receiver"
        }
        SinkError::Busy { .. } => "look at the log of the receiver, and try again",
        SinkError::TimedOut { .. } => "find out what takes the receiver so long, or set a longer timeout",
        SinkError::File { .. } => "check that the path exists, and the rights of the user of the operator",
    }
}
