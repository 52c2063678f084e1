//! `run`: the volume is made equal to the resources of a Kubernetes cluster.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use kube::Config;

use super::operation::{Files, Operation, stop};
use crate::cluster::kubernetes::{Driver, Kubernetes};

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only the resources of this namespace (several times: of these). Without it: of all
    #[arg(long, value_name = "NAME", env = "VMCATCHER_NAMESPACES", value_delimiter = ',')]
    namespace: Vec<String>,
    #[command(flatten)]
    operation: Operation,
}

/// Runs until it is told to stop. The API server is the one of $KUBECONFIG, or of the pod that it runs in.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(keep(args))
}

async fn keep(args: &Args) -> anyhow::Result<ExitCode> {
    let stop = stop()?;
    let configuration = Config::infer().await.context("expected a kubeconfig, or to run in a pod")?;
    tracing::info!(server = %configuration.cluster_url, "the resources live on an API server");
    let client = kube::Client::try_from(configuration).context("cannot talk to the API server")?;
    let volume = args.operation.volume().await?;
    let (cluster, watches) = Kubernetes::new(client, &args.namespace);
    let context = Arc::new(args.operation.context(cluster, volume, Files::Refused)?);
    let refreshing = args.operation.keep_crls_fresh(&context.client);
    let ended = Driver::new(context.clone(), watches).keep(stop).await;
    if let Some(task) = refreshing {
        task.abort();
    }
    // What has come of a download stays on the volume; the next run goes on from there.
    context.jobs.shutdown().await;
    ended?;
    Ok(ExitCode::SUCCESS)
}
