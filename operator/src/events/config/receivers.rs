//! Sinks that send events to a receiver: `amqp` and `webhook`. Pure.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use url::Url;

use super::address::{Schemes, address, pair, tls};
use super::faults::Faults;
use super::node::{Node, Object};
use super::scalar::{secret_file, switch, timeout, word};
use crate::events::settings::{AmqpSettings, ContentMode, FileCredentials, WebhookSettings};

const AMQP: Schemes = Schemes {
    plain: "amqp",
    tls: "amqps",
    example: "amqps://broker.example.org/vhost",
    credentials: "usernameFile and passwordFile take the files with them",
    query: false,
};

const HTTP: Schemes = Schemes {
    plain: "http",
    tls: "https",
    example: "https://monitor.example.org/events",
    credentials: "tokenFile takes the file with a bearer token",
    query: true,
};

/// The exchange to which events are published by default.
const EXCHANGE: &str = "vmcatcher";
/// The default time for the confirmation of a broker.
const CONFIRMATION: Duration = Duration::from_secs(30);
/// The default time for a response of a webhook.
const RESPONSE: Duration = Duration::from_secs(10);

/// The settings of an `amqp` sink.
pub(super) fn amqp(node: &Node<'_>, faults: &mut Faults) -> Option<AmqpSettings> {
    let known = ["url", "exchange", "declare", "usernameFile", "passwordFile", "timeout", "tls"];
    let object = node.object(&known, faults)?;
    let url = address(&object, &AMQP, faults).and_then(|url| one_virtual_host(url, &object, faults));
    let declare = switch(&object, "declare", true, faults);
    let exchange = match object.field("exchange") {
        Some(node) => exchange(&node, declare == Some(true), faults),
        None => Some(EXCHANGE.to_owned()),
    };
    let credentials = pair(&object, "usernameFile", "passwordFile", faults);
    let timeout = timeout(&object, CONFIRMATION, faults);
    let tls = tls(&object, url.as_ref(), &AMQP, faults);
    Some(AmqpSettings {
        url: url?,
        credentials: credentials.map(|(username, password)| FileCredentials { username, password }),
        exchange: exchange?,
        declare: declare?,
        timeout: timeout?,
        tls: tls?,
    })
}

/// The name of a virtual host is one segment of the path, percent-encoded (RabbitMQ URI specification), and a short
/// string: at most 255 bytes (AMQP 0-9-1, 4.2.5.3).
fn one_virtual_host(url: Url, object: &Object<'_>, faults: &mut Faults) -> Option<Url> {
    let path = url.path();
    let name = path.strip_prefix('/').unwrap_or(path);
    let decoded = percent_decode_str(name).decode_utf8();
    if !name.contains('/') && decoded.is_ok_and(|name| name.len() <= 255) {
        return Some(url);
    }
    if let Some(node) = object.field("url") {
        faults.at_value(
            &node.path,
            "expected one virtual host after the host, such as /vhost (a / in it is %2F), found another form",
        );
    }
    None
}

/// The name of an exchange: 1 to 127 of these characters; those that begin with `amq.` belong to the broker (AMQP 0-9-1,
/// domain `exchange-name` and 1.7.2.1).
fn exchange(node: &Node<'_>, declare: bool, faults: &mut Faults) -> Option<String> {
    let name = node.text("the name of an exchange", faults)?;
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    if !(1..=127).contains(&name.len()) || !name.bytes().all(is_allowed) {
        node.expected("the name of an exchange (1 to 127 letters, digits and -_.:)", faults);
        return None;
    }
    if declare && name.starts_with("amq.") {
        let message = "expected a name that does not begin with amq. (or declare: false)";
        faults.at_value(&node.path, format!("{message}, found {}", node.found()));
        return None;
    }
    Some(name.to_owned())
}

/// The settings of a `webhook` sink.
pub(super) fn webhook(node: &Node<'_>, faults: &mut Faults) -> Option<WebhookSettings> {
    let object = node.object(&["url", "mode", "hmacKeyFile", "tokenFile", "timeout", "tls"], faults)?;
    let url = address(&object, &HTTP, faults);
    let modes = [("Structured", ContentMode::Structured), ("Binary", ContentMode::Binary)];
    let mode = match object.field("mode") {
        Some(node) => word(&node, &modes, faults),
        None => Some(ContentMode::default()),
    };
    let hmac_key = secret_file(&object, "hmacKeyFile", faults);
    let token = secret_file(&object, "tokenFile", faults);
    let timeout = timeout(&object, RESPONSE, faults);
    let tls = tls(&object, url.as_ref(), &HTTP, faults);
    Some(WebhookSettings { url: url?, mode: mode?, hmac_key, token, timeout: timeout?, tls: tls? })
}
