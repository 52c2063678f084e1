//! The checked settings of sinks, as the configuration file gives them. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::event::{Event, EventType, Phase};

/// What the configuration file says about events.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EventSettings {
    /// The most bytes that the spool may use.
    pub spool_limit: u64,
    /// The sinks, in the order of the file. Their names differ.
    pub sinks: Vec<SinkSettings>,
}

/// One sink.
#[derive(Debug, Clone, PartialEq)]
pub struct SinkSettings {
    /// Its name, unique in the file. Its position in the spool has this name.
    pub name: SinkName,
    /// The events that it gets.
    pub filter: EventFilter,
    /// What it is.
    pub kind: SinkKind,
}

/// The name of a sink: 1 to 63 characters of `a-z`, `0-9` and `-`, the first and the last not `-` (RFC 1123 label). It
/// is safe as a file name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SinkName(String);

impl SinkName {
    /// A checked name; `None` if it is not a label of RFC 1123.
    pub fn new(name: &str) -> Option<Self> {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_label =
            (1..=63).contains(&name.len()) && name.bytes().all(inner) && !name.starts_with('-') && !name.ends_with('-');
        is_label.then(|| Self(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Which events a sink gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventFilter {
    /// Events of these types.
    pub types: BTreeSet<EventType>,
    /// Events of these phases.
    pub phases: BTreeSet<Phase>,
}

impl EventFilter {
    /// Whether the sink gets an event.
    pub fn takes(&self, event: &Event) -> bool {
        self.types.contains(&event.event) && self.phases.contains(&event.phase)
    }
}

/// What a sink is.
#[derive(Debug, Clone, PartialEq)]
pub enum SinkKind {
    /// A command or a directory of handlers.
    Exec(ExecSettings),
    /// An AMQP 0-9-1 broker.
    Amqp(AmqpSettings),
    /// An HTTP receiver of CloudEvents.
    Webhook(WebhookSettings),
    /// A file of JSON lines.
    File(FileSettings),
}

/// The settings of an `exec` sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecSettings {
    /// What is run.
    pub handlers: Handlers,
    /// After this time a handler gets SIGTERM.
    pub timeout: Duration,
    /// Further environment variables of the handlers.
    pub environment: BTreeMap<String, String>,
}

/// What an `exec` sink runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handlers {
    /// A program, with its first arguments. It is not empty.
    Command(Vec<String>),
    /// All programs of a directory whose names match `^[a-zA-Z0-9_-]+$`, in byte order.
    Directory(PathBuf),
}

/// The settings of an `amqp` sink.
#[derive(Debug, Clone, PartialEq)]
pub struct AmqpSettings {
    /// `amqp://host:port/vhost` or `amqps://…`, without user and password.
    pub url: Url,
    /// The files with the user name and the password; `None` for `guest`, which brokers accept from loopback only.
    pub credentials: Option<FileCredentials>,
    /// The topic exchange.
    pub exchange: String,
    /// Whether the exchange is declared (durable, topic), or has to exist.
    pub declare: bool,
    /// The longest wait for the confirmation of the broker.
    pub timeout: Duration,
    /// The TLS settings, for `amqps`.
    pub tls: ClientTls,
}

/// Files with a user name and a password, as a mounted Secret has them. They are read at each connection, so that
/// changed ones are used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileCredentials {
    /// The file with the user name.
    pub username: PathBuf,
    /// The file with the password.
    pub password: PathBuf,
}

/// TLS settings of a client. The files are read at each connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientTls {
    /// PEM certificates of the authorities; `None` for those of the system.
    pub authorities: Option<PathBuf>,
    /// The PEM files of the client's certificate (with its chain) and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// The settings of a `webhook` sink.
#[derive(Debug, Clone, PartialEq)]
pub struct WebhookSettings {
    /// The `http` or `https` address, without user and password.
    pub url: Url,
    /// How an event is put into a request.
    pub mode: ContentMode,
    /// The file with the key of the HMAC-SHA256 signature; `None` for requests without a signature.
    pub hmac_key: Option<PathBuf>,
    /// The file with a bearer token; `None` for requests without one.
    pub token: Option<PathBuf>,
    /// The longest wait for a response.
    pub timeout: Duration,
    /// The TLS settings, for `https`.
    pub tls: ClientTls,
}

/// The content modes of the CloudEvents HTTP protocol binding 1.0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ContentMode {
    /// The whole event is the body, `application/cloudevents+json`.
    #[default]
    Structured,
    /// The attributes are headers, the data is the body.
    Binary,
}

/// The settings of a `file` sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSettings {
    /// The file. It is created if it does not exist; its directory has to exist.
    pub path: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sink_has_the_name_of_a_label() {
        for good in ["a", "log", "a-b", "0", &"a".repeat(63)] {
            assert!(SinkName::new(good).is_some(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a/b", "..", "a\0", "ä", &"a".repeat(64)] {
            assert!(SinkName::new(bad).is_none(), "{bad}");
        }
    }
}
