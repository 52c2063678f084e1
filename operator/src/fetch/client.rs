//! The HTTP client: its settings, and one connection pool for all sources without their own TLS settings.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use url::Url;

use super::address::AddressPolicy;
use super::budget::Budget;
use super::error::FetchError;
use super::http2::{Http2, Protocol};
use super::plain::PlainConnections;
use super::proxy::Proxies;
use super::registry::Tokens;
use super::source::{self, Source, TlsSettings};
use crate::metrics::Metrics;
use crate::text::with_causes;

/// Settings of the client. All limits are settings, so that tests can make them short.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// `User-Agent`: product and version.
    pub user_agent: String,
    /// The timeout for a connection, including TLS.
    pub connect_timeout: Duration,
    /// The connection for an image is given up if it is slower than `minimum_rate` over this waiting time.
    pub stall_window: Duration,
    /// The minimum rate in bytes per second.
    pub minimum_rate: u64,
    /// The maximum duration of one connection for an image.
    pub total_timeout: Duration,
    /// Refuse loopback addresses. For operators in a cluster, where loopback is the pod itself.
    pub deny_loopback: bool,
    /// Allow lists from `file:` URLs. For operators without a cluster.
    pub allow_files: bool,
    /// The maximum size of a list in bytes.
    pub list_limit: u64,
    /// The maximum number of bytes in memory for documents and for their verification.
    pub memory: u64,
    /// The directory for larger documents until they are verified, in unnamed files. `None` means in memory.
    pub documents: Option<PathBuf>,
    /// The metrics for bytes and failures.
    pub metrics: Metrics,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            user_agent: concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Duration::from_secs(15),
            stall_window: Duration::from_mins(1),
            minimum_rate: 1024,
            total_timeout: Duration::from_hours(24),
            deny_loopback: false,
            allow_files: false,
            list_limit: LIST_LIMIT,
            memory: 128 << 20,
            documents: None,
            metrics: Metrics::default(),
        }
    }
}

/// The client. Cheap to clone; all clones share connections.
#[derive(Debug, Clone)]
pub struct Client {
    pub(super) settings: ClientSettings,
    pub(super) policy: AddressPolicy,
    budget: Budget,
    pub(super) proxies: Proxies,
    pub(super) tokens: Tokens,
    pub(super) plain: PlainConnections,
    pub(super) http2: Http2,
    /// The connections with the system's certificate authorities. See [`Client::prepare`].
    system: System,
    /// The same without HTTP/2, which are set up when they are first used.
    system_http1: System,
    own: Arc<Mutex<HashMap<(TlsKey, Protocol), Kept>>>,
}

/// Connections that are set up when they are first used. The error is the reason why that failed.
type System =
    Arc<LazyLock<Result<reqwest::Client, String>, Box<dyn FnOnce() -> Result<reqwest::Client, String> + Send>>>;

/// The key of a source's TLS settings: a digest, so that no private key is kept.
type TlsKey = [u8; 32];

/// The connections for one set of TLS settings, and the time at which they were set up. Certificate authorities may
/// change.
type Kept = (Instant, reqwest::Client);

/// How long connections are kept with the certificate authorities that they were made with.
const KEPT_FOR: Duration = Duration::from_mins(10);

/// The maximum number of sets of TLS settings.
const MOST_KEPT: usize = 64;

impl Client {
    /// A client with the proxies of the environment.
    pub fn new(settings: &ClientSettings) -> Result<Self, FetchError> {
        let (proxies, hosts) = Proxies::of_environment().map_err(FetchError::Setup)?;
        let policy = AddressPolicy::new(settings.deny_loopback, hosts);
        Ok(Self {
            settings: settings.clone(),
            budget: Budget::new(settings.memory),
            proxies,
            tokens: Tokens::default(),
            plain: PlainConnections::new(&policy, settings.connect_timeout),
            http2: Http2::default(),
            system: system(settings, &policy, Protocol::Negotiated),
            system_http1: system(settings, &policy, Protocol::Http1),
            own: Arc::default(),
            policy,
        })
    }

    /// Reads the system's certificate authorities on a thread of its own, while the program does other things: that
    /// takes longer than a run that has nothing to do. For a program that is about to use `https:`.
    pub fn prepare(&self) {
        // Through a proxy everything is asked over HTTP/1.1.
        let system = if self.policy.has_proxies() { self.system_http1.clone() } else { self.system.clone() };
        // Without a thread they are read when they are used.
        let _no_thread = std::thread::Builder::new().spawn(move || LazyLock::force(&system).is_ok());
    }

    /// The settings.
    pub fn settings(&self) -> &ClientSettings {
        &self.settings
    }

    /// The memory budget for documents.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Waits until the server of a URL is known to have HTTP/2. Never ends if it has not.
    pub async fn until_http2(&self, url: &Url) {
        self.http2.until_known(url.origin()).await;
    }

    /// The connections for a source. `own` is whether its client certificate may be sent.
    pub(super) fn connections(
        &self,
        source: &Source,
        own: bool,
        protocol: Protocol,
    ) -> Result<reqwest::Client, FetchError> {
        let Some(key) = source::key(&source.tls, own) else { return self.system(protocol) };
        let key = (key, protocol);
        let mut kept = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, (since, _)| since.elapsed() < KEPT_FOR);
        if let Some((_, client)) = kept.get(&key) {
            return Ok(client.clone());
        }
        let client = self.connect_with(source, own, protocol)?;
        if kept.len() >= MOST_KEPT {
            kept.clear();
        }
        kept.insert(key, (Instant::now(), client.clone()));
        Ok(client)
    }

    fn system(&self, protocol: Protocol) -> Result<reqwest::Client, FetchError> {
        let system = match protocol {
            Protocol::Negotiated => &self.system,
            Protocol::Http1 => &self.system_http1,
        };
        LazyLock::force(system).clone().map_err(FetchError::Setup)
    }

    fn connect_with(&self, source: &Source, own: bool, protocol: Protocol) -> Result<reqwest::Client, FetchError> {
        let base = || base(&self.settings, &self.policy, protocol);
        let builder = match &source.tls {
            TlsSettings::System => return self.system(protocol),
            TlsSettings::Grid(directory) => source::directory(directory).map(|trusted| base().tls_certs_only(trusted)),
            TlsSettings::Own { ca_pem, identity } => {
                let identity = identity.as_ref().filter(|_| own);
                source::own(base(), ca_pem.as_deref(), identity)
            }
        };
        let unusable = |message| FetchError::TlsSettings { url: source.url.clone(), message };
        builder.map_err(unusable)?.build().map_err(|error| unusable(with_causes(&error)))
    }
}

fn system(settings: &ClientSettings, policy: &AddressPolicy, protocol: Protocol) -> System {
    let builder = base(settings, policy, protocol);
    let set_up: Box<dyn FnOnce() -> _ + Send> = Box::new(|| builder.build().map_err(|error| with_causes(&error)));
    Arc::new(LazyLock::new(set_up))
}

fn base(settings: &ClientSettings, policy: &AddressPolicy, protocol: Protocol) -> reqwest::ClientBuilder {
    protocol
        .set_up(reqwest::Client::builder())
        .tls_backend_native()
        .connect_timeout(settings.connect_timeout)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .dns_resolver(policy.clone())
}

/// The default of the maximum size of a list, in bytes. The largest published lists have some MB, for some thousand
/// images.
pub const LIST_LIMIT: u64 = 16 << 20;
