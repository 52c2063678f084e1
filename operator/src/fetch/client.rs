//! The client: settings once, one connection pool for everything that is public.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::address::AddressPolicy;
use super::budget::Budget;
use super::error::FetchError;
use super::list::LIST_LIMIT;
use super::proxy::Proxies;
use super::source::{Source, TlsTrust};
use super::tls;
use crate::metrics::Metrics;

/// How to fetch. All limits are settings, so that tests can make them short.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// `User-Agent`: product and version.
    pub user_agent: String,
    /// Until a connection stands, TLS included.
    pub connect_timeout: Duration,
    /// An image's connection that brings less than `minimum_rate` over this time of waiting is given up.
    pub stall_window: Duration,
    /// Bytes a second.
    pub minimum_rate: u64,
    /// The longest that one image may take over one connection.
    pub total_timeout: Duration,
    /// Refuse loopback addresses: for operators in a cluster, where loopback is the pod itself.
    pub deny_loopback: bool,
    /// Read lists from `file:` URLs: for operators without a cluster.
    pub allow_files: bool,
    /// The most bytes of a list.
    pub list_limit: u64,
    /// The most bytes of documents, and of what becomes of them while they are judged, in memory at once.
    pub memory: u64,
    /// Where larger documents lie until they are judged, in files without a name; without it, in memory.
    pub documents: Option<PathBuf>,
    /// Where bytes and failures are counted.
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

/// Fetches. Cheap to clone; all clones share connections.
#[derive(Debug, Clone)]
pub struct Client {
    pub(super) settings: ClientSettings,
    pub(super) policy: AddressPolicy,
    budget: Budget,
    pub(super) proxies: Proxies,
    system: reqwest::Client,
    own: Arc<Mutex<HashMap<TlsKey, Kept>>>,
}

/// What tells one source's TLS settings from another's: a digest of them, so that no key is kept.
type TlsKey = [u8; 32];

/// Connections under one source's TLS settings, and since when: certificate authorities change.
type Kept = (Instant, reqwest::Client);

/// How long connections are kept under the authorities that they were made with.
const KEPT_FOR: Duration = Duration::from_mins(10);

/// So many sets of TLS settings at most.
const MOST_KEPT: usize = 64;

impl Client {
    /// A client with the proxies of the environment.
    pub fn new(settings: &ClientSettings) -> Result<Self, FetchError> {
        let (proxies, hosts) = Proxies::of_environment().map_err(|message| FetchError::Setup { message })?;
        let policy = AddressPolicy::new(settings.deny_loopback, hosts);
        let system = base(settings, &policy).build().map_err(|error| FetchError::Setup { message: chain(&error) })?;
        let (settings, budget) = (settings.clone(), Budget::new(settings.memory));
        Ok(Self { settings, policy, proxies, budget, system, own: Arc::default() })
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &ClientSettings {
        &self.settings
    }

    /// The memory that documents share.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The connections for a source; `own` where its client certificate may be shown.
    pub(super) fn connections(&self, source: &Source, own: bool) -> Result<reqwest::Client, FetchError> {
        let Some(key) = tls::key(&source.tls, own) else { return Ok(self.system.clone()) };
        let mut kept = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, (since, _)| since.elapsed() < KEPT_FOR);
        if let Some((_, client)) = kept.get(&key) {
            return Ok(client.clone());
        }
        let client = self.connect_with(source, own)?;
        if kept.len() >= MOST_KEPT {
            kept.clear();
        }
        kept.insert(key, (Instant::now(), client.clone()));
        Ok(client)
    }

    fn connect_with(&self, source: &Source, own: bool) -> Result<reqwest::Client, FetchError> {
        let builder = match &source.tls {
            TlsTrust::System => return Ok(self.system.clone()),
            TlsTrust::Grid(directory) => {
                tls::directory(directory).map(|trusted| base(&self.settings, &self.policy).tls_certs_only(trusted))
            }
            TlsTrust::Own { ca_pem, identity } => {
                let identity = identity.as_ref().filter(|_| own);
                tls::own(base(&self.settings, &self.policy), ca_pem.as_deref(), identity)
            }
        };
        let unusable = |message| FetchError::TlsSettings { url: source.url.clone(), message };
        builder.map_err(unusable)?.build().map_err(|error| unusable(chain(&error)))
    }
}

fn base(settings: &ClientSettings, policy: &AddressPolicy) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .tls_backend_native()
        .http1_only()
        .user_agent(&settings.user_agent)
        .connect_timeout(settings.connect_timeout)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .dns_resolver(policy.clone())
}

/// An error with its causes in one line, without the address (the caller names it, redacted).
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = cause.source();
    }
    text
}
