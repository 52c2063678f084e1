//! One connection to the broker, with a channel that confirms.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use lapin::options::{ConfirmSelectOptions, ExchangeDeclareOptions};
use lapin::tcp::AsyncTcpStream;
use lapin::types::{FieldTable, ShortString};
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, ExchangeKind};
use tokio::time::timeout;

use super::files::{Credentials, credentials};
use super::message::short;
use super::peer::{Peer, without};
use super::socket::{Slot, Socket};
use super::tls::Tls;
use super::uri;
use crate::events::settings::AmqpSettings;
use crate::events::sink::SinkError;

/// A connection to the broker. When it is dropped, its socket is shut down.
pub(super) struct Broker {
    pub(super) channel: Channel,
    pub(super) exchange: ShortString,
    /// Whether messages are in it that the broker did not read. It takes no others then.
    pub(super) is_stalled: bool,
    connection: Connection,
    _socket: Socket,
}

impl Broker {
    /// Connects with what the files contain now, and declares or finds the exchange.
    pub(super) async fn connect(settings: &AmqpSettings, peer: &Peer) -> Result<Self, SinkError> {
        let exchange = short(&settings.exchange)
            .ok_or_else(|| peer.denied("expected the name of an exchange of at most 255 bytes".to_owned()))?;
        let files = timeout(peer.timeout, files(settings, peer));
        let (credentials, tls) = files.await.map_err(|_| peer.timed_out())??;
        let (connection, socket) = open(settings, &credentials, tls, peer).await?;
        let channel = peer.step(connection.create_channel()).await?;
        peer.step(channel.confirm_select(ConfirmSelectOptions::default())).await?;
        declare(&channel, &exchange, settings.declare, peer).await?;
        Ok(Self { channel, exchange, is_stalled: false, connection, _socket: socket })
    }

    /// Whether the broker said that it takes no messages now (`connection.blocked`): it has too little memory or disk.
    pub(super) fn is_blocked(&self) -> bool {
        self.connection.status().connected() && self.connection.status().blocked()
    }

    /// Whether it takes messages, as far as is known.
    pub(super) fn is_usable(&self) -> bool {
        !self.is_stalled && self.connection.status().connected() && self.channel.status().connected()
    }
}

/// Reads the credentials and, for `amqps`, the certificates.
async fn files(settings: &AmqpSettings, peer: &Peer) -> Result<(Credentials, Option<Arc<Tls>>), SinkError> {
    let credentials = credentials(settings.credentials.as_ref()).await?;
    let tls = match settings.url.scheme() {
        "amqps" => Some(Arc::new(Tls::read(&settings.tls, peer).await?)),
        _ => None,
    };
    Ok((credentials, tls))
}

/// Opens a connection and logs in. An error never has the password in it.
async fn open(
    settings: &AmqpSettings,
    credentials: &Credentials,
    tls: Option<Arc<Tls>>,
    peer: &Peer,
) -> Result<(Connection, Socket), SinkError> {
    let uri = uri::library(&settings.url, credentials).map_err(|found| peer.unreachable(found))?;
    let (socket, slot) = Socket::awaited();
    match peer.step(log_in(uri, tls.clone(), slot, peer.timeout)).await {
        Ok(connection) => Ok((connection, socket)),
        Err(error) => {
            // That of `guest` is no secret, and a usual word in messages.
            let secret = settings.credentials.as_ref().map_or("", |_| &credentials.password);
            let error = without(error, secret);
            Err(match tls {
                Some(tls) => tls.explain(error),
                None => error,
            })
        }
    }
}

/// Connects in the library's thread, with a time limit there too: the thread does not end with who waits for it. All of
/// it has to be in the call, because the types of the runtime have no names.
async fn log_in(uri: AMQPUri, tls: Option<Arc<Tls>>, slot: Slot, limit: Duration) -> lapin::Result<Connection> {
    let properties = ConnectionProperties::default().with_connection_name("vmcatcher-operator".into());
    Connection::connector(
        uri,
        lapin::runtime::default_runtime()?,
        async move |uri, runtime| {
            let host = uri.authority.host.as_str();
            let reached = async {
                let addresses: Vec<_> = tokio::net::lookup_host((host, uri.authority.port)).await?.collect();
                AsyncTcpStream::connect(&runtime, addresses).await
            };
            let stream = timeout(limit, reached).await.map_err(io::Error::from)??;
            if let AsyncTcpStream::Plain(plain) = &stream {
                slot.put(plain.get_ref())?;
            }
            match &tls {
                Some(tls) => {
                    let stream = stream.into_openssl(&tls.connector, host).await?;
                    tls.accept();
                    Ok(stream)
                }
                None => Ok(stream),
            }
        },
        properties,
    )
    .await
}

/// Declares the exchange, durable and of the type topic. A passive declaration only looks whether it exists (AMQP 0-9-1,
/// `exchange.declare`).
async fn declare(channel: &Channel, exchange: &ShortString, create: bool, peer: &Peer) -> Result<(), SinkError> {
    let options = ExchangeDeclareOptions { durable: true, passive: !create, ..ExchangeDeclareOptions::default() };
    let declared = channel.exchange_declare(exchange.clone(), ExchangeKind::Topic, options, FieldTable::default());
    peer.step(declared).await
}
