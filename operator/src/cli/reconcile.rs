//! `reconcile`: makes the volume equal to a folder of manifests.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::builder::ArgPredicate;
use jiff::Timestamp;

use super::operation::{Files, Operation, stop};
use super::service::Service;
use super::standing::{Shown, all_are_well};
use super::table::Output;
use super::{NOT_GOOD, WRONG_USE, bars, dry_run, get, print, survey};
use crate::api::{ImageListSubscription, ObjectKey};
use crate::events::RunKind;
use crate::events::config::Config;
use crate::reconcile::Context;
use crate::run::ProgressReports;
use crate::run::directory::Driver;
use crate::store::ResourceStore as _;
use crate::store::directory::Directory;

/// Arguments of `reconcile`.
#[derive(Debug, clap::Args)]
#[command(mut_arg("volume", not_needed_to_check))]
pub(super) struct Args {
    /// The folder of manifests; it is never written to
    #[arg(long, value_name = "DIR", env = "VMCATCHER_MANIFESTS")]
    manifests: PathBuf,
    /// Where status and generated resources are kept [default: state on the volume]
    #[arg(long, value_name = "DIR", env = "VMCATCHER_STATE")]
    state: Option<PathBuf>,
    /// Ask every server now, do the work that follows, and stop when all is done
    #[arg(long)]
    once: bool,
    /// Only check whether the manifests are valid and what they refer to exists, and show which servers would be asked.
    /// No server is asked, nothing is written, and no volume is needed
    #[arg(long, conflicts_with = "once")]
    check: bool,
    /// Only print what a run would do: the steps for each object. List servers and clouds are read; nothing is written
    #[arg(long, conflicts_with_all = ["once", "check"])]
    dry_run: bool,
    /// With --once, --check and --dry-run: format of the resources that are shown at the end [default: table; with --quiet only
    /// the rows that are not well]
    #[arg(short, long, value_enum)]
    output: Option<Output>,
    #[command(flatten)]
    operation: Operation,
}

/// The volume is not required with `--check`, which opens none.
fn not_needed_to_check(volume: clap::Arg) -> clap::Arg {
    volume.required(false).required_unless_present("check").default_value_if("check", ArgPredicate::IsPresent, "none")
}

/// Runs until everything is done (`--once`, `--check`), or until SIGTERM or SIGINT.
pub(super) fn run(args: &Args, quiet: bool) -> anyhow::Result<ExitCode> {
    let Some(config) = args.operation.configuration()? else { return Ok(ExitCode::from(WRONG_USE)) };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if args.check {
        let (output, shown) = shown(args, quiet);
        return runtime.block_on(survey::check(&args.manifests, &args.operation.settings(config), output, shown));
    }
    if args.dry_run {
        let store = dry_run::store(&args.manifests, &state(args))?;
        return runtime.block_on(dry_run::plans(&args.operation, store, config, args.output.unwrap_or(Output::Table)));
    }
    runtime.block_on(reconcile(args, config, quiet))
}

async fn reconcile(args: &Args, config: Config, quiet: bool) -> anyhow::Result<ExitCode> {
    let service = Service::start();
    let volume = args.operation.volume().await?;
    let context = args.operation.context(store(args)?, volume, Files::Allowed, config)?;
    let (context, deliveries) =
        Operation::with_events(context, if args.once { RunKind::Once } else { RunKind::Continuous })?;
    let context = Arc::new(context);
    let servers = args.operation.serve().await?;
    args.operation.watch(&context);
    let reports = ProgressReports::start(&context);
    let mut driver = Driver::new(context.clone());
    driver.began = service.began.clone();
    let begun = begin(args, &context).await;
    let ended = match &begun {
        Ok(()) => work(args, quiet, &context, &driver).await,
        Err(_) => Ok(false),
    };
    service.stopping();
    // A partial download stays on the volume. The next run resumes it.
    context.jobs.shutdown().await;
    // A pass that was stopped may have begun to store its object.
    context.store.written().await;
    reports.end().await;
    // A run that did not begin does not end.
    if begun.is_ok() && ended.is_ok() {
        context.events.end(Timestamp::now());
    }
    deliveries.end().await;
    servers.shutdown().await;
    leave_memory(&context);
    begun?;
    Ok(if ended? { ExitCode::SUCCESS } else { ExitCode::from(NOT_GOOD) })
}

/// Leaves the objects and the lists to the operating system: freeing each piece of them takes a tenth of a run that has
/// nothing to do.
fn leave_memory(context: &Context<Directory>) {
    let subscriptions = context.store.all::<ImageListSubscription>();
    let lists = subscriptions.iter().map(|subscription| context.lists.get(&ObjectKey::of(&**subscription)));
    std::mem::forget((context.store.snapshot(), lists.collect::<Vec<_>>()));
}

/// Announces the begin of a run to the handlers. They can veto a single run.
async fn begin(args: &Args, context: &Context<Directory>) -> anyhow::Result<()> {
    if args.once {
        return context.events.begin(Timestamp::now()).await.context("the run does not begin");
    }
    context.events.announce_begin(Timestamp::now()).await;
    Ok(())
}

/// Does the work of the run. Whether all is well.
async fn work(args: &Args, quiet: bool, context: &Arc<Context<Directory>>, driver: &Driver) -> anyhow::Result<bool> {
    if args.once {
        args.operation.refresh_crls_once(&context.client).await;
        return once(args, quiet, context, driver).await;
    }
    let refreshing = args.operation.keep_crls_fresh(&context.client);
    let scrub = args.operation.scrub(&context.volume)?;
    let kept = driver.keep(&args.operation.trust, &scrub, stop()?).await;
    scrub.shutdown().await;
    if let Some(task) = refreshing {
        task.abort();
    }
    kept.map(|()| true).context("cannot reconcile")
}

/// One run. Whether all is well.
async fn once(args: &Args, quiet: bool, context: &Arc<Context<Directory>>, driver: &Driver) -> anyhow::Result<bool> {
    let bars = bars::Bars::start(context, std::io::stderr().is_terminal());
    let settled = driver.once().await;
    bars.stop().await;
    let settled = settled.context("cannot reconcile")?;
    let (output, shown) = shown(args, quiet);
    print(&get::everything(&context.store, output, shown)?)?;
    Ok(settled.problems.is_empty() && settled.errors.is_empty() && all_are_well(&context.store))
}

/// The output format, and which resources are shown.
fn shown(args: &Args, quiet: bool) -> (Output, Shown) {
    let shown = if quiet && args.output.is_none() { Shown::NotWell } else { Shown::All };
    (args.output.unwrap_or(Output::Table), shown)
}

fn state(args: &Args) -> PathBuf {
    args.state.clone().unwrap_or_else(|| args.operation.volume.join("state"))
}

fn store(args: &Args) -> anyhow::Result<Directory> {
    if let Some(state) = &args.state {
        std::fs::create_dir_all(state).with_context(|| format!("cannot make {}", state.display()))?;
    }
    let (store, problems) = Directory::open(&args.manifests, &state(args));
    for problem in problems {
        tracing::warn!("{problem}");
    }
    Ok(store)
}
