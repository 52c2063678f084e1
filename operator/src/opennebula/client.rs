//! The OpenNebula calls that the operator uses, with types.

use std::time::Duration;

use super::document::{self, Datastore, Image, ImagePool, Named, Permissions, User};
use super::error::OneError;
use super::template::Template;
use super::transport::{Connection, Transport};
use super::xmlrpc::{Answer, Value, ValueError, decode_answer, encode_call};
use crate::cloud::LeadershipGuard;
use crate::metrics::{Metrics, Work};

/// A session with one cloud. It keeps no state of the cloud. A clone shares the HTTP client.
#[derive(Debug, Clone)]
pub struct Client {
    transport: Transport,
    permit: LeadershipGuard,
    metrics: Metrics,
}

/// The version of a server, which decides what it accepts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerVersion {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// The text from the server.
    pub text: String,
}

impl ServerVersion {
    /// Parses a version such as `7.4.0`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(str::parse);
        let (major, minor) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
        Some(Self { major, minor, text: text.to_owned() })
    }

    /// Whether the hypervisor's format is taken from `DRIVER` in the template (servers before 7) instead of being
    /// detected by the server.
    pub fn takes_driver(&self) -> bool {
        self.major < 7
    }
}

/// How often a read is tried if the connection fails. Writes are not repeated; the next pass reads the state first.
const READS: u32 = 2;

impl Client {
    /// A client for one endpoint; nothing is sent yet.
    pub fn new(connection: Connection) -> Result<Self, OneError> {
        Ok(Self {
            transport: Transport::new(connection)?,
            permit: LeadershipGuard::default(),
            metrics: Metrics::default(),
        })
    }

    /// Sets the permit for calls that change something. Without a valid permit they fail with [`OneError::NotLeading`].
    #[must_use]
    pub fn with_permit(self, permit: LeadershipGuard) -> Self {
        Self { permit, ..self }
    }

    /// Sets the metrics for calls.
    #[must_use]
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// `one.system.version`. It also checks that the session is accepted.
    pub async fn version(&self) -> Result<ServerVersion, OneError> {
        let version = |text: &str| ServerVersion::parse(text).ok_or_else(|| ValueError::unexpected("a version", text));
        self.document("one.system.version", &[], version).await
    }

    /// `one.user.info` of the session itself (-1).
    pub async fn myself(&self) -> Result<User, OneError> {
        self.document("one.user.info", &[Value::Integer(-1)], document::read_user).await
    }

    /// `one.userpool.info`: all users for an administrator; otherwise only the user itself.
    pub async fn users(&self) -> Result<Vec<Named>, OneError> {
        self.document("one.userpool.info", &[], document::read_users).await
    }

    /// `one.grouppool.info`: all groups for an administrator; otherwise only the user's own.
    pub async fn groups(&self) -> Result<Vec<Named>, OneError> {
        self.document("one.grouppool.info", &[], document::read_groups).await
    }

    /// `one.datastorepool.info`.
    pub async fn datastores(&self) -> Result<Vec<Datastore>, OneError> {
        self.document("one.datastorepool.info", &[], document::read_datastores).await
    }

    /// `one.imagepool.info` with filter -2, without pages: reading pages can skip images, because the order is
    /// descending and images are added and removed. The result contains only images that the session may use.
    pub async fn images(&self) -> Result<ImagePool, OneError> {
        self.document("one.imagepool.info", &[-2, -1, -1].map(Value::Integer), document::read_images).await
    }

    /// `one.image.info`. Fails with [`OneError::NotFound`] if there is no such image, and with
    /// [`OneError::NotAuthorized`] if the session may not use it.
    pub async fn image(&self, id: u32) -> Result<Image, OneError> {
        self.document("one.image.info", &[id.into()], document::read_image).await
    }

    /// `one.image.allocate`. Returns the new id; the copy continues in the background. It is not safe to repeat: after
    /// a timeout, search for the name first. The capacity flag, whose meaning changed in 6.8.3, is not sent.
    pub async fn allocate(&self, template: &Template, datastore: u32) -> Result<u32, OneError> {
        let parameters = [Value::Text(template.to_xml()), datastore.into()];
        self.write("one.image.allocate", &parameters, self.transport.timeouts().allocate).await
    }

    /// `one.image.update` with 1: adds and replaces attributes, keeps all others.
    pub async fn update(&self, id: u32, template: &Template) -> Result<(), OneError> {
        self.append(id, template.to_xml()).await
    }

    /// `one.image.update` with 1 and empty values: an attribute cannot be removed without replacing all of them.
    pub async fn empty_attributes(&self, id: u32, names: &[&'static str]) -> Result<(), OneError> {
        self.append(id, super::template::emptied(names)).await
    }

    async fn append(&self, id: u32, text: String) -> Result<(), OneError> {
        self.change("one.image.update", &[id.into(), Value::Text(text), Value::Integer(1)]).await
    }

    /// `one.image.rename`.
    pub async fn rename(&self, id: u32, name: &str) -> Result<(), OneError> {
        self.change("one.image.rename", &[id.into(), Value::Text(name.to_owned())]).await
    }

    /// `one.image.chown`. `None` means no change (-1). Servers before 6.2 refuse an owner that the image already has.
    pub async fn chown(&self, id: u32, uid: Option<u32>, gid: Option<u32>) -> Result<(), OneError> {
        let number = |id: Option<u32>| id.map_or(Value::Integer(-1), Value::from);
        self.change("one.image.chown", &[id.into(), number(uid), number(gid)]).await
    }

    /// `one.image.chmod` of the bits that differ. Other bits are sent as "no change" (-1), because even setting an
    /// administer bit to its current value may need an administrator.
    pub async fn chmod(&self, id: u32, from: Permissions, to: Permissions) -> Result<(), OneError> {
        let flags = to.changes_from(from).map(|flag| Value::Integer(flag.map_or(-1, i64::from)));
        let parameters: Vec<_> = std::iter::once(id.into()).chain(flags).collect();
        self.change("one.image.chmod", &parameters).await
    }

    /// `one.image.enable`: true enables, false disables. Never enable an image without a SOURCE.
    pub async fn enable(&self, id: u32, enabled: bool) -> Result<(), OneError> {
        self.change("one.image.enable", &[id.into(), Value::Boolean(enabled)]).await
    }

    /// `one.image.delete`. `force` is needed for an image in state LOCKED since 6.6; older servers ignore it.
    pub async fn delete(&self, id: u32, force: bool) -> Result<(), OneError> {
        self.change("one.image.delete", &[id.into(), Value::Boolean(force)]).await
    }

    async fn change(&self, method: &'static str, parameters: &[Value]) -> Result<(), OneError> {
        self.write(method, parameters, self.transport.timeouts().call).await.map(|_| ())
    }

    async fn write(&self, method: &'static str, parameters: &[Value], limit: Duration) -> Result<u32, OneError> {
        if !self.permit.is_valid() {
            return Err(OneError::NotLeading(method));
        }
        match self.call(method, parameters, limit).await? {
            Value::Integer(number) => {
                let bad = |_| malformed(method, ValueError::unexpected("an object id", &number.to_string()));
                u32::try_from(number).map_err(bad)
            }
            other => Err(malformed(method, ValueError::unexpected("an object id", &format!("{other:?}")))),
        }
    }

    /// Reads a document and parses it.
    async fn document<T>(
        &self,
        method: &'static str,
        parameters: &[Value],
        parse: impl FnOnce(&str) -> Result<T, ValueError>,
    ) -> Result<T, OneError> {
        parse(&self.read(method, parameters).await?).map_err(|source| malformed(method, source))
    }

    async fn read(&self, method: &'static str, parameters: &[Value]) -> Result<String, OneError> {
        let mut tries = 1;
        loop {
            match self.call(method, parameters, self.transport.timeouts().call).await {
                Ok(Value::Text(text)) => return Ok(text),
                Ok(other) => return Err(malformed(method, ValueError::unexpected("a text", &format!("{other:?}")))),
                Err(error @ OneError::Unreachable { .. }) if tries < READS => {
                    self.metrics.retried(Work::Cloud, error.reason().as_str());
                    tries += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn call(&self, method: &'static str, parameters: &[Value], limit: Duration) -> Result<Value, OneError> {
        let answered = self.exchange(method, parameters, limit).await;
        self.metrics.call(method, answered.as_ref().map_or_else(|error| error.reason().as_str(), |_| "Succeeded"));
        answered
    }

    async fn exchange(&self, method: &'static str, parameters: &[Value], limit: Duration) -> Result<Value, OneError> {
        let mut all = vec![Value::Text(self.transport.session().to_owned())];
        all.extend_from_slice(parameters);
        let body = self.transport.post(method, encode_call(method, &all), limit).await?;
        match decode_answer(&body) {
            Ok(Answer::Success(value)) => Ok(value),
            Ok(Answer::Failure(failure)) => Err(OneError::from_failure(failure)),
            Ok(Answer::Fault { code, text }) => Err(OneError::Fault { method, code, text }),
            Err(error) => Err(self.transport.not_opennebula(method, error.to_string())),
        }
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Integer(i64::from(number))
    }
}

fn malformed(method: &'static str, source: ValueError) -> OneError {
    OneError::Malformed { method, source }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Duration, Instant};

    use super::*;

    #[tokio::test]
    async fn without_a_valid_permit_nothing_that_changes_the_cloud_is_sent() {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}/RPC2", nobody.local_addr().unwrap()).parse().unwrap();
        drop(nobody);
        let permit = LeadershipGuard::to_extend();
        let connection = Connection::new(endpoint, "user:password".to_owned().into());
        let client = Client::new(connection).unwrap().with_permit(permit.clone());
        let template = Template::default();
        let refused = [
            client.allocate(&template, 1).await.unwrap_err(),
            client.update(1, &template).await.unwrap_err(),
            client.empty_attributes(1, &["A"]).await.unwrap_err(),
            client.rename(1, "a").await.unwrap_err(),
            client.chown(1, None, None).await.unwrap_err(),
            client.enable(1, true).await.unwrap_err(),
            client.delete(1, false).await.unwrap_err(),
        ];
        for error in refused {
            assert!(matches!(error, OneError::NotLeading { .. }), "{error}");
        }
        assert!(matches!(client.version().await.unwrap_err(), OneError::Unreachable { .. }), "reads are free");
        permit.extend(Instant::now() + Duration::from_mins(1));
        assert!(matches!(client.rename(1, "a").await.unwrap_err(), OneError::Unreachable { .. }));
    }
}
