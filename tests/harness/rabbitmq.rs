//! RabbitMQ on free ports of 127.0.0.1: `tests/rabbitmq/get` installs it, `serve` runs it and ends with its input, so that
//! nothing is left however a test ends.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use jiff::Timestamp;
use lapin::options::{BasicAckOptions, BasicGetOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties, message::BasicGetMessage};
use tempfile::TempDir;
use tokio::sync::{OnceCell, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::der::{SEQUENCE, tlv};
use crate::pki::{CertificateSpec, Identity, Usage};
use crate::served::Served;

/// A broker of its own, with a user `guest` that has all rights, and a TLS listener that requires a client certificate.
pub struct RabbitMq {
    /// The port of AMQP without TLS.
    pub port: u16,
    /// The port of AMQP with TLS. Its certificate is for `localhost`, and not for 127.0.0.1.
    pub tls_port: u16,
    work: PathBuf,
    certificates: TempDir,
    served: Served,
}

static SHARED: OnceCell<RwLock<RabbitMq>> = OnceCell::const_new();

impl RabbitMq {
    /// The broker of this test binary. Tests have exchanges, queues and users of their own in it.
    pub async fn shared() -> RwLockReadGuard<'static, Self> {
        SHARED.get_or_init(async || RwLock::new(Self::start_one())).await.read().await
    }

    /// The same, for a test that kills it or takes its memory: no other test uses it meanwhile.
    pub async fn alone() -> RwLockWriteGuard<'static, Self> {
        SHARED.get_or_init(async || RwLock::new(Self::start_one())).await.write().await
    }

    #[expect(clippy::print_stderr, reason = "a figure for people")]
    fn start_one() -> Self {
        let started = Instant::now();
        let certificates = certificates();
        let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("rabbitmq/serve"));
        let (served, first) = Served::start(command.arg(certificates.path()));
        let words: Vec<&str> = first.split_whitespace().collect();
        let ["ready", work, port, tls_port] = words[..] else {
            panic!("expected RabbitMQ, found none: run tests/rabbitmq/get, which installs it");
        };
        eprintln!("RabbitMQ ready in {:.1} s", started.elapsed().as_secs_f64());
        Self {
            port: port.parse().unwrap(),
            tls_port: tls_port.parse().unwrap(),
            work: work.into(),
            certificates,
            served,
        }
    }

    /// A file with PEM: `authority.crt`, which issued the broker's certificate; `client.crt` and `client.key` of it;
    /// `stranger.crt`, an authority that did not; `stranger-client.crt` and `stranger-client.key` of that one.
    pub fn certificate(&self, name: &str) -> PathBuf {
        self.certificates.path().join(name)
    }

    /// Kills it with SIGKILL, with all that it started.
    pub fn kill(&self) {
        self.served.order("kill");
    }

    /// Starts it again on the same data, and waits until it answers.
    pub fn start(&self) {
        self.served.order("start");
    }

    /// What `rabbitmqctl` prints.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        let output = Command::new(self.work.join("ctl")).args(arguments).output().expect("rabbitmqctl runs");
        assert!(output.status.success(), "rabbitmqctl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Adds a user with these rights in the default virtual host: patterns of what may be configured, written, read.
    pub fn add_user(&self, name: &str, password: &str, rights: [&str; 3]) {
        self.ctl(&["add_user", name, password]);
        self.ctl(&["set_permissions", name, rights[0], rights[1], rights[2]]);
    }

    /// A channel of a test's own, as `guest`.
    pub async fn channel(&self) -> (Connection, Channel) {
        let address = format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port);
        let connection = Connection::connect(&address, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        (connection, channel)
    }
}

/// A durable queue that is bound to a topic exchange, which has to exist.
pub struct Queue {
    pub name: String,
    channel: Channel,
    _connection: Connection,
}

impl Queue {
    /// With a binding key, and with the arguments of the queue (`x-max-length`).
    pub async fn bound(broker: &RabbitMq, exchange: &str, key: &str, arguments: &[(&str, AMQPValue)]) -> Self {
        let name = format!("{exchange}-{}", fastrand::u64(..));
        let queue = Self::open(broker, &name).await;
        let mut table = FieldTable::default();
        for (name, value) in arguments {
            table.insert((*name).into(), value.clone());
        }
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        queue.channel.queue_declare(name.as_str().into(), options, table).await.unwrap();
        let options = QueueBindOptions::default();
        let bound = queue.channel.queue_bind(name.into(), exchange.into(), key.into(), options, FieldTable::default());
        bound.await.unwrap();
        queue
    }

    /// One that exists, over a new connection.
    pub async fn open(broker: &RabbitMq, name: &str) -> Self {
        let (connection, channel) = broker.channel().await;
        Self { name: name.to_owned(), channel, _connection: connection }
    }

    /// Takes the first message, if there is one.
    pub async fn take(&self) -> Option<BasicGetMessage> {
        let message = self.channel.basic_get(self.name.as_str().into(), BasicGetOptions::default()).await.unwrap()?;
        message.ack(BasicAckOptions::default()).await.unwrap();
        Some(message)
    }

    /// Takes all messages that are there.
    pub async fn take_all(&self) -> Vec<BasicGetMessage> {
        let mut taken = Vec::new();
        while let Some(message) = self.take().await {
            taken.push(message);
        }
        taken
    }
}

/// The certificates of the broker, of its clients and of strangers, as PEM files.
fn certificates() -> TempDir {
    let now = Timestamp::now();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, identity: &Identity| {
        let (certificate, key) = identity.pem();
        std::fs::write(folder.path().join(format!("{name}.crt")), certificate).unwrap();
        std::fs::write(folder.path().join(format!("{name}.key")), key).unwrap();
    };
    let localhost = tlv(SEQUENCE, &[&tlv(0x82, &[b"localhost"])]);
    let server = CertificateSpec::person("/CN=a broker", now).usages(&[Usage::ServerAuth]);
    let server = server.extension("2.5.29.17", false, &localhost);
    let client = CertificateSpec::person("/CN=a client", now).usages(&[Usage::ClientAuth]);
    let authority = CertificateSpec::authority("/CN=An authority", now).build(None);
    let stranger = CertificateSpec::authority("/CN=A stranger", now).build(None);
    write("authority", &authority);
    write("server", &authority.issue(&server));
    write("client", &authority.issue(&client));
    write("stranger", &stranger);
    write("stranger-client", &stranger.issue(&client));
    folder
}
