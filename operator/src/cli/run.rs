//! `run`: keeps the volume equal to the resources of a Kubernetes cluster.

use std::io::ErrorKind;
use std::num::NonZeroU16;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::builder::RangedI64ValueParser;
use jiff::Timestamp;
use kube::Client;
use tokio_util::sync::CancellationToken;

use super::WRONG_USE;
use super::operation::{Files, Operation, stop};
use super::servers::MakeImageServer;
use crate::cache::{MOST_SHARDS, ShardFolder, Volume};
use crate::events::RunKind;
use crate::events::config::Config;
use crate::run::ProgressReports;
use crate::run::kubernetes::Driver;
use crate::serve::ImageServer;
use crate::store::kubernetes::{Election, Kubernetes, Leadership, LeadershipLost, Shard, counted};

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only the resources of this namespace (can be given several times) [default: all namespaces]
    #[arg(long, value_name = "NAME", env = "VMCATCHER_NAMESPACES", value_delimiter = ',')]
    namespace: Vec<String>,
    /// Several processes share the volume: the one that holds a Lease leads, and the others wait until it stops
    #[arg(long)]
    leader_election: bool,
    /// With --leader-election: the name of the Lease
    #[arg(long, value_name = "NAME", default_value = "vmcatcher-operator")]
    lease: String,
    /// Divide the namespaces among so many processes, each with a Lease of its own (NAME-0, NAME-1, …). This process works
    /// for the first that is free; its volume is the folder shard-INDEX in --volume. Needs --leader-election
    #[arg(long, value_name = "N", requires = "leader_election", value_parser = shards())]
    shards: Option<u16>,
    /// With --shards: work for this one only, counted from 0. Its volume is --volume itself
    #[arg(long, value_name = "INDEX", env = "VMCATCHER_SHARD", requires = "shards")]
    shard: Option<u16>,
    /// With --leader-election: its namespace [default: the pod's, or that of the kubeconfig]
    #[arg(long, value_name = "NAME")]
    lease_namespace: Option<String>,
    #[command(flatten)]
    operation: Operation,
}

/// Runs until SIGTERM or SIGINT. The API server is the one of $KUBECONFIG, or that of the pod in which the program
/// runs.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if let Some(message) = args.wrong() {
        tracing::error!("{message}");
        return Ok(ExitCode::from(WRONG_USE));
    }
    let Some(config) = args.operation.configuration()? else { return Ok(ExitCode::from(WRONG_USE)) };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        // The servers start before the election: a process that waits for the volume can read it, and is as healthy as
        // the leader.
        let servers = args.operation.serve(args.image_server()).await?;
        let ended = lead_and_keep(args, config).await;
        servers.shutdown().await;
        ended
    })
}

async fn lead_and_keep(args: &Args, config: Config) -> anyhow::Result<ExitCode> {
    let (stopping, stop) = (CancellationToken::new(), stop()?);
    let told = stopping.clone();
    tokio::spawn(async move {
        stop.await;
        told.cancel();
    });
    let cluster = kube::Config::infer().await.context("expected a kubeconfig, or to run in a pod")?;
    tracing::info!(url = %cluster.cluster_url, "the resources live on an API server");
    let namespace = args.lease_namespace.as_ref().unwrap_or(&cluster.default_namespace).clone();
    let client = counted(cluster, args.operation.monitor.metrics().clone());
    let client = client.context("cannot talk to the API server")?;
    if !args.leader_election {
        keep(args, config, client, &stopping, Part { shard: None, leadership: None }).await?;
        return Ok(ExitCode::SUCCESS);
    }
    // A process that waits has not opened the volume.
    let shards = args.shards();
    let elections = shards.iter().map(|shard| Election::new(client.clone(), &namespace, &args.lease_of(*shard)));
    let won = Election::acquire_one(elections.collect());
    let won = stopping.run_until_cancelled(Box::pin(won)).await;
    let Some((index, mut leadership)) = won else { return Ok(ExitCode::SUCCESS) };
    let part = Part { shard: shards[index], leadership: Some(&mut leadership) };
    let lost = keep(args, config, client, &stopping, part).await?;
    if let Some(lost) = lost {
        return Err(lost.into());
    }
    // The volume is already closed, so the next leader can open it at once.
    leadership.release().await;
    Ok(ExitCode::SUCCESS)
}

/// What this process works for.
struct Part<'a> {
    /// The shard; `None` if the namespaces are not divided.
    shard: Option<Shard>,
    leadership: Option<&'a mut Leadership>,
}

impl Args {
    /// Why the arguments cannot be used together.
    fn wrong(&self) -> Option<String> {
        let of = self.shards?;
        let index = self.shard.filter(|index| *index >= of)?;
        Some(format!("--shard: expected 0 to {}, found {index}", of - 1))
    }

    /// The folder that a shard has on the volume; `None` if the volume is not shared by several.
    fn folder(&self, shard: Option<Shard>) -> Option<ShardFolder> {
        shard.filter(|_| self.shard.is_none()).map(Shard::folder)
    }

    /// The image server: on a volume that all shards share, each program serves all of them.
    fn image_server(&self) -> MakeImageServer {
        if self.shards.is_some() && self.shard.is_none() { ImageServer::of_shards } else { ImageServer::new }
    }

    /// What this process may lead; one that is `None` if the namespaces are not divided.
    fn shards(&self) -> Vec<Option<Shard>> {
        let Some(of) = self.shards.and_then(NonZeroU16::new) else { return vec![None] };
        match self.shard {
            Some(index) => Shard::new(index, of).map(Some).into_iter().collect(),
            None => Shard::all(of).map(Some).collect(),
        }
    }

    fn lease_of(&self, shard: Option<Shard>) -> String {
        shard.map_or_else(|| self.lease.clone(), |shard| format!("{}-{}", self.lease, shard.index()))
    }
}

/// Opens the volume, or the folder of a shard on it.
async fn open(args: &Args, shard: Option<Shard>) -> anyhow::Result<Volume> {
    if let Some(shard) = shard {
        tracing::info!("this program works for {shard}");
    }
    let Some(folder) = args.folder(shard) else { return args.operation.volume().await };
    let folder = args.operation.volume.join(folder.to_string());
    // Not the folders above: a mistyped path is reported.
    for folder in [&args.operation.volume, &folder] {
        match std::fs::create_dir(folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(error).with_context(|| format!("cannot make the folder {}", folder.display()));
            }
            Ok(()) | Err(_) => {}
        }
    }
    args.operation.volume_at(&folder).await
}

/// Parser for the number of shards.
fn shards() -> RangedI64ValueParser<u16> {
    RangedI64ValueParser::new().range(1..=i64::from(MOST_SHARDS))
}

/// Keeps the volume equal to the resources until `stopping` is cancelled, or until leadership is lost.
async fn keep(
    args: &Args,
    config: Config,
    client: Client,
    stopping: &CancellationToken,
    Part { shard, mut leadership }: Part<'_>,
) -> anyhow::Result<Option<LeadershipLost>> {
    let permit = leadership.as_ref().map(|leadership| leadership.permit()).unwrap_or_default();
    let mut lost = None;
    let opened = tokio::select! {
        opened = open(args, shard) => Some(opened?),
        ended = ended(stopping, leadership.as_deref_mut()) => { lost = ended; None }
    };
    let Some(volume): Option<Volume> = opened else { return Ok(lost) };
    let (store, watches) = Kubernetes::new(client, &args.namespace);
    let store = store.with_permit(permit.clone()).with_shard(shard);
    let context = args.operation.context(store, volume, Files::Refused, config)?;
    let context = args.operation.with_images(context, args.folder(shard))?;
    let (context, deliveries) = Operation::with_events(context, RunKind::Continuous)?;
    let context = Arc::new(context.with_permit(permit));
    context.events.announce_begin(Timestamp::now()).await;
    args.operation.watch(&context);
    let reports = ProgressReports::start(&context);
    let refreshing = args.operation.keep_crls_fresh(&context.client);
    let stop = async { lost = ended(stopping, leadership).await };
    let scrub = args.operation.scrub(&context.volume)?;
    let kept = Driver::new(context.clone(), watches).keep(&scrub, stop).await;
    scrub.shutdown().await;
    if let Some(task) = refreshing {
        task.abort();
    }
    // A partial download stays on the volume. The next run resumes it.
    context.jobs.shutdown().await;
    reports.end().await;
    if kept.is_ok() {
        context.events.end(Timestamp::now());
    }
    deliveries.end().await;
    Ok(kept.map(|()| lost)?)
}

/// Waits until `stopping` is cancelled or leadership is lost. Returns the loss of leadership.
async fn ended(stopping: &CancellationToken, leadership: Option<&mut Leadership>) -> Option<LeadershipLost> {
    let Some(leadership) = leadership else {
        stopping.cancelled().await;
        return None;
    };
    tokio::select! {
        () = stopping.cancelled() => None,
        lost = leadership.lost() => Some(lost),
    }
}
