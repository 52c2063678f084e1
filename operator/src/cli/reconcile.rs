//! `reconcile`: the volume is made equal to a folder of manifests.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};

use super::table::Output;
use super::{NOT_GOOD, get, print, progress};
use crate::anchors::{CrlRefresher, TrustDirectory};
use crate::api::{CachedImage, CloudTarget, Endorser, HasConditions, ImageListSubscription};
use crate::cache::{JobLimits, Volume};
use crate::cluster::directory::{Directory, Driver};
use crate::fetch::{Client, ClientSettings};
use crate::reconcile::{Context, Settings};
use crate::trust::DigestPolicy;

/// Arguments of `reconcile`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder of manifests; it is never written to
    #[arg(long, value_name = "DIR", env = "VMCATCHER_MANIFESTS")]
    manifests: PathBuf,
    /// The volume that holds the images
    #[arg(long, value_name = "DIR", env = "VMCATCHER_VOLUME")]
    volume: PathBuf,
    /// Where status and generated resources are kept [default: state on the volume]
    #[arg(long, value_name = "DIR", env = "VMCATCHER_STATE")]
    state: Option<PathBuf>,
    /// The trust directory: certificate authorities and CRLs in IGTF layout, or a bundle
    #[arg(long, value_name = "DIR", env = "VMCATCHER_TRUST", default_value = "/etc/grid-security/certificates")]
    trust: PathBuf,
    /// Ask every server now, do what follows and stop when all is done
    #[arg(long)]
    once: bool,
    /// Fetch CRLs into the trust directory every so many hours, from its *.crl_url files; with --once: once, before
    /// anything else. Not needed where fetch-crl does it
    #[arg(long, value_name = "HOURS", value_parser = clap::value_parser!(u16).range(1..=168))]
    refresh_crls: Option<u16>,
    /// With --once: how the resources are shown at the end
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Downloads at once
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    max_downloads: u16,
    /// The name of this installation: it is written on every image in a cloud, and no other's images are touched.
    /// Keep it: under another name its images are another's
    #[arg(long, value_name = "NAME", env = "VMCATCHER_INSTANCE", default_value = "vmcatcher", value_parser = instance)]
    instance: String,
    /// Take signatures with this outdated digest too
    #[arg(long, value_name = "DIGEST", value_parser = ["sha1", "md5"])]
    allow_digest: Vec<String>,
}

/// Runs until everything is done, or until it is told to stop.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(reconcile(args))
}

async fn reconcile(args: &Args) -> anyhow::Result<ExitCode> {
    let volume = Volume::open_waiting(&args.volume, |locked| tracing::warn!("{locked}; waiting")).await?;
    let context = Arc::new(context(args, volume)?);
    let driver = Driver::new(context.clone());
    let refresher = args.refresh_crls.map(|_| CrlRefresher::new(&args.trust, context.client.clone()));
    let ended = if args.once {
        if let Some(mut refresher) = refresher {
            refresh_crls(&mut refresher).await;
        }
        let bars = progress::Bars::start(&context, std::io::stderr().is_terminal());
        let settled = driver.once().await;
        bars.stop().await;
        settled.context("cannot reconcile").and_then(|settled| {
            print(&get::everything(&context.cluster, args.output)?)?;
            Ok(settled.problems.is_empty() && settled.errors.is_empty() && all_ready(&context.cluster))
        })
    } else {
        let hours = u64::from(args.refresh_crls.unwrap_or_default());
        let refreshing = refresher.map(|refresher| tokio::spawn(keep_crls_fresh(refresher, hours)));
        let kept = driver.keep(&args.trust, stop()?).await.map(|()| true).context("cannot reconcile");
        if let Some(task) = refreshing {
            task.abort();
        }
        kept
    };
    // What has come of a download stays on the volume; the next run goes on from there.
    context.jobs.shutdown().await;
    Ok(if ended? { ExitCode::SUCCESS } else { ExitCode::from(NOT_GOOD) })
}

fn context(args: &Args, volume: Volume) -> anyhow::Result<Context<Directory>> {
    let state = args.state.clone().unwrap_or_else(|| args.volume.join("state"));
    let (cluster, problems) = Directory::open(&args.manifests, &state);
    for problem in problems {
        tracing::warn!("{problem}");
    }
    let (anchors, problems) = TrustDirectory::open(&args.trust);
    for problem in problems {
        tracing::warn!(file = %problem.path.display(), "{}", problem.message);
    }
    let client = Client::new(&ClientSettings { allow_files: true, ..ClientSettings::default() })?;
    let limits = JobLimits { downloads: args.max_downloads.into(), ..JobLimits::default() };
    let settings = Settings {
        instance: args.instance.clone(),
        trust_directory: args.trust.clone(),
        digests: DigestPolicy {
            allow_sha1: args.allow_digest.iter().any(|digest| digest == "sha1"),
            allow_md5: args.allow_digest.iter().any(|digest| digest == "md5"),
        },
    };
    Ok(Context::new(cluster, volume, client, limits, anchors, settings))
}

/// Fetches CRLs again and again; the trust directory is watched, so that what came is in force at once.
async fn keep_crls_fresh(mut refresher: CrlRefresher, hours: u64) {
    loop {
        refresh_crls(&mut refresher).await;
        // All sites at once would be a burden for the CAs' servers.
        let seconds = hours * 3600;
        tokio::time::sleep(Duration::from_secs(seconds - fastrand::u64(0..seconds / 5))).await;
    }
}

async fn refresh_crls(refresher: &mut CrlRefresher) {
    for refreshed in refresher.refresh(Timestamp::now()).await {
        match refreshed.outcome {
            Ok(Some(path)) => tracing::info!(file = %path.display(), "a new CRL"),
            Ok(None) => tracing::debug!(file = %refreshed.from.display(), "the CRL is the newest"),
            Err(errors) => {
                for error in errors {
                    tracing::warn!(file = %refreshed.from.display(), "the CRL stays as it is: {error}");
                }
            }
        }
    }
}

/// One to 64 letters, digits and `.`, `_`, `-`.
fn instance(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if (1..=64).contains(&text.len()) && text.chars().all(allowed) {
        return Ok(text.to_owned());
    }
    Err(format!("expected 1 to 64 letters, digits and . _ -, found {text:?}"))
}

/// Done when the process is asked to stop.
fn stop() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
    })
}

/// Whether every object says Ready and no fetch failed.
fn all_ready(directory: &Directory) -> bool {
    let endorsers = directory.all::<Endorser>();
    let subscriptions = directory.all::<ImageListSubscription>();
    let images = directory.all::<CachedImage>();
    let targets = directory.all::<CloudTarget>();
    let ready = |status: Option<&dyn HasConditions>| status.is_some_and(|status| status.is_true("Ready"));
    endorsers.iter().all(|object| ready(object.status.as_ref().map(|status| status as _)))
        && targets.iter().all(|object| ready(object.status.as_ref().map(|status| status as _)))
        && images.iter().all(|object| ready(object.status.as_ref().map(|status| status as _)))
        && subscriptions.iter().all(|object| {
            let failed = object.status.as_ref().is_some_and(|status| status.is_true("FetchFailed"));
            ready(object.status.as_ref().map(|status| status as _)) && !failed
        })
}
