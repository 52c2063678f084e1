//! What `run` and `reconcile` have in common: a volume, a trust directory, limits.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::builder::RangedU64ValueParser;
use jiff::{SignedDuration, Timestamp};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use super::algorithms::Algorithms;
use super::config;
use super::servers::{MakeImageServer, Servers, image_paths};
use crate::anchors::{CrlRefresher, TrustDirectory};
use crate::api::ImageListSubscription;
use crate::cache::{CacheError, ConversionLimits, Inspected, JobLimits, Scrub, ScrubSettings, ShardFolder, Volume};
use crate::duration::parse_duration;
use crate::events::config::Config;
use crate::events::{self, Deliveries, RunKind};
use crate::fetch::{Client, ClientSettings, LIST_LIMIT};
use crate::imagelist::MAXIMUM_BYTES;
use crate::reconcile::{Context, Settings};
use crate::serve::{self, Guard, GuardError, Listening, Monitor, Pages, Tickets};
use crate::store::ResourceStore;

/// The arguments of both commands.
#[derive(Debug, clap::Args)]
pub(super) struct Operation {
    /// The volume that holds the images
    #[arg(long, value_name = "DIR", env = "VMCATCHER_VOLUME")]
    pub volume: PathBuf,
    /// The configuration file: the sinks of events. It is read when the program starts; `config check` shows what is
    /// wrong with it [default: none, and no sinks]
    #[arg(long, value_name = "FILE", env = "VMCATCHER_CONFIG")]
    config: Option<PathBuf>,
    /// The trust directory: certificate authorities and CRLs in IGTF layout, or a bundle
    #[arg(long, value_name = "DIR", env = "VMCATCHER_TRUST", default_value = "/etc/grid-security/certificates")]
    pub trust: PathBuf,
    /// Fetch CRLs into the trust directory every this many hours, from its *.crl_url files; with `reconcile --once`:
    /// once, before anything else. Not needed if fetch-crl does it
    #[arg(long, value_name = "HOURS", value_parser = clap::value_parser!(u16).range(1..=168))]
    refresh_crls: Option<u16>,
    /// Number of simultaneous downloads
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    max_downloads: u16,
    /// Number of simultaneous downloads, each with a connection of its own, from one server (scheme, host and port). More
    /// are faster from a server that is far away; some servers refuse more than a few
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    max_downloads_per_host: u16,
    /// Bytes that blobs and partial downloads may take on the volume [default: the size of the volume]
    #[arg(long, value_name = "BYTES")]
    quota: Option<u64>,
    /// Bytes that downloads and conversions leave free on the volume, for records and status [default: a twentieth of the
    /// volume, at most 64 MiB]
    #[arg(long, value_name = "BYTES")]
    min_free: Option<u64>,
    /// Bytes per second for all downloads together [default: no limit]
    #[arg(long, value_name = "BYTES")]
    bandwidth: Option<NonZeroU64>,
    /// Largest virtual disk size, in bytes, of an image that is converted for a cloud that takes another format
    #[arg(long, value_name = "BYTES", default_value_t = ConversionLimits::default().largest)]
    max_virtual_size: u64,
    /// Largest size of a signed image list, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = LIST_LIMIT, value_parser = list_size())]
    max_list_size: u64,
    /// Bytes of memory for lists that are verified at the same time: a list takes four times its size, and a list that
    /// needs more than this is verified alone
    #[arg(long, value_name = "BYTES", default_value_t = ClientSettings::default().memory)]
    list_memory: u64,
    /// Time after which every blob is read and verified again, such as 168h; not with `reconcile --once`
    #[arg(long, value_name = "DURATION", default_value = "168h", value_parser = parse_duration)]
    scrub_interval: Duration,
    /// The name of this installation: it is written on every image in a cloud, and images of other installations are
    /// not touched. Do not change it: images with the old name would belong to another installation
    #[arg(long, value_name = "NAME", env = "VMCATCHER_INSTANCE", default_value = "vmcatcher", value_parser = instance)]
    instance: String,
    /// Serve images at this address and port, such as [::]:8080, to clouds that pull them (CloudTarget, handOver type
    /// URL). The server uses plain HTTP: put a proxy with TLS in front of it. With `run --shards`, each program serves the
    /// images of all shards on the volume [default: no such server]
    #[arg(long, value_name = "ADDRESS", env = "VMCATCHER_IMAGE_SERVER")]
    pub(super) image_server: Option<SocketAddr>,
    /// Answer /healthz, /readyz, /metrics and /progress at this address and port, such as [::]:9090 [default: no such
    /// server]
    #[arg(long, value_name = "ADDRESS", env = "VMCATCHER_LISTEN")]
    listen: Option<SocketAddr>,
    /// Show web pages of what is subscribed, trusted, cached and published at this address and port, such as
    /// 127.0.0.1:9091. They are read only. An address that others can reach needs --pages-token-file or
    /// --pages-behind-proxy. The server uses plain HTTP [default: no such server]
    #[arg(long, value_name = "ADDRESS", env = "VMCATCHER_PAGES")]
    pages: Option<SocketAddr>,
    /// With --pages: who reads them needs the token in this file (16 to 1024 characters), by a form or as Authorization:
    /// Bearer. The file is read again when it changes
    #[arg(long, value_name = "FILE", env = "VMCATCHER_PAGES_TOKEN_FILE", requires = "pages")]
    pages_token_file: Option<PathBuf>,
    /// With --pages: a proxy in front of them checks who reads them, so they need no token
    #[arg(long, env = "VMCATCHER_PAGES_BEHIND_PROXY", requires = "pages", conflicts_with = "pages_token_file")]
    pages_behind_proxy: bool,
    /// Simultaneous connections of one address to each of these servers, of 256 in all. A reverse proxy has one address
    /// for all its clients
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u16).range(1..=256))]
    connections_per_address: u16,
    #[command(flatten)]
    algorithms: Algorithms,
    /// Allow verify.mode: AutoEndorse in subscriptions, which trusts the first signer whose certificate leads to a
    /// trust anchor
    #[arg(long, env = "VMCATCHER_ALLOW_AUTO_ENDORSE")]
    allow_auto_endorse: bool,
    /// Metrics and health of the program.
    #[arg(skip)]
    pub monitor: Monitor,
    /// Its web pages.
    #[arg(skip)]
    pages_shown: Pages,
}

/// Whether the list of a subscription comes by https.
fn wants_tls(subscription: &ImageListSubscription) -> bool {
    let url = subscription.spec.source.url.as_deref().unwrap_or("https:");
    !url.starts_with("http:") && !url.starts_with("file:")
}

/// Whether `file:` URLs are fetched. They are refused if people who do not control this machine may write resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Files {
    /// `file:` URLs are fetched.
    Allowed,
    /// `file:` URLs are refused.
    Refused,
}

impl Operation {
    /// Opens the volume, and waits while another process owns it.
    pub(super) async fn volume(&self) -> anyhow::Result<Volume> {
        self.volume_at(&self.volume).await
    }

    /// Opens the volume in a folder, and waits while another process owns it.
    pub(super) async fn volume_at(&self, folder: &Path) -> anyhow::Result<Volume> {
        Ok(Volume::open_waiting(folder, |locked| tracing::warn!("{locked}; waiting")).await?)
    }

    /// Looks at the volume, without opening it.
    pub(super) fn inspect(&self) -> Result<Inspected, CacheError> {
        Inspected::of(&self.volume, self.min_free)
    }

    /// The configuration file, if there is one.
    pub(super) fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// Reads the configuration file. `None` if it is wrong, or if the web pages would have no guard; the problems are
    /// logged then.
    pub(super) fn configuration(&self) -> anyhow::Result<Option<Config>> {
        if let Some(Err(error)) = self.guard() {
            tracing::error!("--pages: {error}");
            return Ok(None);
        }
        let Some(file) = &self.config else { return Ok(Some(Config::default())) };
        config::read_valid(file)
    }

    /// Makes the context of the reconcilers.
    pub(super) fn context<S: ResourceStore>(
        &self,
        store: S,
        volume: Volume,
        files: Files,
        config: Config,
    ) -> anyhow::Result<Context<S>> {
        allow_files();
        let (anchors, problems) = TrustDirectory::open(&self.trust);
        for problem in problems {
            tracing::warn!(path = %problem.path.display(), "{}", problem.message);
        }
        let metrics = self.monitor.metrics().clone();
        let allow_files = files == Files::Allowed;
        let settings = ClientSettings {
            allow_files,
            metrics,
            list_limit: self.max_list_size,
            memory: self.list_memory,
            documents: volume.is_writable().then(|| volume.scratch()),
            ..ClientSettings::default()
        };
        let client = Client::new(&settings)?;
        if store.all::<ImageListSubscription>().iter().any(|subscription| wants_tls(subscription)) {
            client.prepare();
        }
        let limits = JobLimits {
            downloads: self.max_downloads.into(),
            per_host: self.max_downloads_per_host.into(),
            quota: self.quota,
            min_free: self.min_free,
            bytes_per_second: self.bandwidth,
            conversion: ConversionLimits { largest: self.max_virtual_size, ..ConversionLimits::default() },
            ..JobLimits::default()
        };
        Ok(Context::new(store, volume, client, limits, anchors, self.settings(config)))
    }

    /// The context with the addresses of images, if the arguments ask for an image server. `shard`: the volume is the
    /// folder of that shard, on a volume of which all shards are served.
    pub(super) fn with_images<S: ResourceStore>(
        &self,
        context: Context<S>,
        shard: Option<ShardFolder>,
    ) -> anyhow::Result<Context<S>> {
        if self.image_server.is_none() {
            return Ok(context);
        }
        let tickets = Tickets::kept(&context.volume)?;
        let tickets = match shard {
            Some(shard) => tickets.of_shard(shard),
            None => tickets,
        };
        Ok(context.with_image_server(image_paths(tickets)))
    }

    /// The context with the sinks of the configuration, and their running deliveries.
    pub(super) fn with_events<S: ResourceStore>(
        context: Context<S>,
        run: RunKind,
    ) -> anyhow::Result<(Context<S>, Deliveries)> {
        let source = source(&context.settings.instance);
        let started = events::start(&context.settings.events, context.volume.root(), &source, run);
        let (events, deliveries) = started.context("cannot open the spool of events")?;
        Ok((context.with_events(events), deliveries))
    }

    /// The settings of the reconcilers.
    pub(super) fn settings(&self, config: Config) -> Settings {
        Settings {
            instance: self.instance.clone(),
            trust_directory: self.trust.clone(),
            algorithms: self.algorithms.policy(),
            allow_auto_endorse: self.allow_auto_endorse,
            events: config.events,
        }
    }

    /// Starts the HTTP servers that the arguments ask for; `images` makes that of images, for the volume. Metrics of
    /// resources are included after [`Self::watch`].
    pub(super) async fn serve(&self, images: MakeImageServer) -> anyhow::Result<Servers> {
        let mut servers = Servers { images: None, monitor: None, pages: None };
        if let Some(address) = self.listen {
            let app = serve::monitor_app(self.monitor.clone());
            servers.monitor = Some(self.listen(address, app, "health and metrics are served").await?);
        }
        if let Some(address) = self.image_server {
            let metrics = self.monitor.metrics().clone();
            let app = serve::router(images(self.volume.clone(), Arc::new(Timestamp::now), metrics));
            servers.images = Some(self.listen(address, app.into(), "images are served").await?);
        }
        if let Some((address, guard)) = self.pages.zip(self.guard()) {
            let app = serve::pages_router(&self.pages_shown, &guard?);
            let listening = self.listen(address, app.into(), "web pages are served").await?;
            servers.pages = Some((self.pages_shown.clone(), listening));
        }
        Ok(servers)
    }

    /// The guard of the web pages.
    fn guard(&self) -> Option<Result<Guard, GuardError>> {
        Some(Guard::new(self.pages?, self.pages_token_file.as_deref(), self.pages_behind_proxy))
    }

    /// From now on metrics, health and web pages are about this context.
    pub(super) fn watch<S: ResourceStore>(&self, context: &Arc<Context<S>>) {
        self.monitor.watch(context);
        self.pages_shown.watch(context);
    }

    async fn listen(&self, address: SocketAddr, app: serve::App, told: &str) -> anyhow::Result<Listening> {
        let limits = serve::Limits { per_address: self.connections_per_address.into(), ..serve::Limits::default() };
        let started = Listening::start(address, app, limits).await;
        let listening = started.with_context(|| format!("cannot listen at {address}"))?;
        tracing::info!(address = %listening.address(), "{told}");
        Ok(listening)
    }

    /// Starts the periodic verification of the volume's blobs.
    pub(super) fn scrub(&self, volume: &Volume) -> anyhow::Result<Scrub> {
        let interval = SignedDuration::try_from(self.scrub_interval)?;
        Ok(Scrub::start(volume.clone(), ScrubSettings { interval, ..ScrubSettings::default() }))
    }

    /// Fetches CRLs once, if `--refresh-crls` is given.
    pub(super) async fn refresh_crls_once(&self, client: &Client) {
        if self.refresh_crls.is_some() {
            refresh_crls(&mut CrlRefresher::new(&self.trust, client.clone())).await;
        }
    }

    /// Starts a task that fetches CRLs periodically, if `--refresh-crls` is given.
    pub(super) fn keep_crls_fresh(&self, client: &Client) -> Option<JoinHandle<()>> {
        let hours = u64::from(self.refresh_crls?);
        let refresher = CrlRefresher::new(&self.trust, client.clone());
        Some(tokio::spawn(fetch_crls_again_and_again(refresher, hours)))
    }
}

/// Fetches CRLs periodically. The trust directory is watched, so a new CRL is used at once.
async fn fetch_crls_again_and_again(mut refresher: CrlRefresher, hours: u64) {
    loop {
        refresh_crls(&mut refresher).await;
        // The random part spreads the requests of all sites over time, to limit the load on the servers of the CAs.
        let seconds = hours * 3600;
        tokio::time::sleep(Duration::from_secs(seconds - fastrand::u64(0..seconds / 5))).await;
    }
}

async fn refresh_crls(refresher: &mut CrlRefresher) {
    for refreshed in refresher.refresh(Timestamp::now()).await {
        match refreshed.outcome {
            Ok(Some(path)) => tracing::info!(path = %path.display(), "a new CRL"),
            Ok(None) => tracing::debug!(path = %refreshed.from.display(), "the CRL is the newest"),
            Err(errors) => {
                for error in errors {
                    tracing::warn!(path = %refreshed.from.display(), "the CRL is not replaced: {error}");
                }
            }
        }
    }
}

/// Raises the limit of open files to the maximum: each connection needs a file descriptor, and so does each large list
/// that waits to be verified.
fn allow_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the limit of open files is not raised");
    }
}

/// Parser for the size of a list: 1 to [`MAXIMUM_BYTES`].
pub(super) fn list_size() -> RangedU64ValueParser {
    RangedU64ValueParser::new().range(1..=MAXIMUM_BYTES as u64)
}

/// The `source` of CloudEvents of an installation.
pub(super) fn source(instance: &str) -> String {
    format!("/vmcatcher-operator/{instance}")
}

/// Parser for the name of an installation: 1 to 64 letters, digits and `.`, `_`, `-`.
pub(super) fn instance(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if (1..=64).contains(&text.len()) && text.chars().all(allowed) {
        return Ok(text.to_owned());
    }
    Err(format!("expected 1 to 64 letters, digits and . _ -, found {text:?}"))
}

/// A future that completes at SIGTERM or SIGINT, and logs it.
pub(super) fn stop() -> anyhow::Result<impl Future<Output = ()>> {
    let stopped = stopped()?;
    Ok(async move {
        stopped.await;
        tracing::info!("stopping");
    })
}

/// A future that completes at SIGTERM or SIGINT.
pub(super) fn stopped() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
