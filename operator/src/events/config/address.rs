//! Addresses of receivers, without credentials, and their TLS settings. Messages never have the address: it can have a
//! password or a token in it. Pure.

use std::path::PathBuf;

use url::Url;

use super::faults::Faults;
use super::node::{Node, Object};
use super::scalar::secret_file;
use crate::events::settings::ClientTls;

/// The schemes of a kind of receivers.
pub(super) struct Schemes {
    /// The scheme without TLS.
    pub(super) plain: &'static str,
    /// The scheme with TLS.
    pub(super) tls: &'static str,
    /// An address, for messages.
    pub(super) example: &'static str,
    /// The fields that take the credentials.
    pub(super) credentials: &'static str,
    /// Whether the address may have a query.
    pub(super) query: bool,
}

/// The address of the field `url`: with a host, one of the schemes, and no user, password or fragment.
pub(super) fn address(object: &Object<'_>, schemes: &Schemes, faults: &mut Faults) -> Option<Url> {
    let node = object.required("url", faults)?.secret();
    let refuse = |message: String, faults: &mut Faults| faults.at_value(&node.path, message);
    let text = node.text(&format!("an address such as {}", schemes.example), faults)?;
    // The parser would drop them without a word.
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        refuse("expected an address without blanks, found some".to_owned(), faults);
        return None;
    }
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => {
            refuse(format!("expected an address such as {}, found another form: {error}", schemes.example), faults);
            return None;
        }
    };
    let fault = fault(&url, schemes);
    if let Some(message) = fault {
        refuse(message, faults);
        return None;
    }
    Some(url)
}

fn fault(url: &Url, schemes: &Schemes) -> Option<String> {
    let Schemes { plain, tls, example, credentials, query } = schemes;
    let scheme = ["amqp", "amqps", "http", "https"].into_iter().find(|known| *known == url.scheme());
    if !url.username().is_empty() || url.password().is_some() {
        Some(format!("expected an address without user and password, found one with them; {credentials}"))
    } else if ![plain, tls].contains(&&url.scheme()) {
        Some(format!("expected the scheme {plain} or {tls}, found {}", scheme.unwrap_or("another")))
    } else if url.host_str().is_none_or(str::is_empty) {
        Some(format!("expected an address with a host, such as {example}, found none"))
    } else if url.fragment().is_some() {
        Some("expected an address without #, found a part after it".to_owned())
    } else if url.query().is_some() && !query {
        Some("expected an address without a query, found a part after ?".to_owned())
    } else {
        None
    }
}

/// The TLS settings of the field `tls`. They are refused for an address without TLS.
pub(super) fn tls(object: &Object<'_>, url: Option<&Url>, schemes: &Schemes, faults: &mut Faults) -> Option<ClientTls> {
    let Some(node) = object.field("tls") else { return Some(ClientTls::default()) };
    let Schemes { plain, tls, .. } = schemes;
    if url.is_some_and(|url| url.scheme() == *plain) {
        faults
            .at_key(&node.path, format!("expected no such field for an address of {plain}, found it; {tls} uses TLS"));
    }
    read_tls(&node, faults)
}

fn read_tls(node: &Node<'_>, faults: &mut Faults) -> Option<ClientTls> {
    let object = node.object(&["caFile", "certFile", "keyFile"], faults)?;
    let authorities = secret_file(&object, "caFile", faults);
    let identity = pair(&object, "certFile", "keyFile", faults);
    Some(ClientTls { authorities, identity })
}

/// Two files that are only of use together; `None` if neither is there, and after a fault.
pub(super) fn pair(object: &Object<'_>, one: &str, other: &str, faults: &mut Faults) -> Option<(PathBuf, PathBuf)> {
    let files = (secret_file(object, one, faults), secret_file(object, other, faults));
    let alone = match (object.field(one), object.field(other)) {
        (Some(node), None) => Some((node, one)),
        (None, Some(node)) => Some((node, other)),
        (Some(_), Some(_)) | (None, None) => None,
    };
    if let Some((node, name)) = alone {
        faults.at_key(&node.path, format!("expected {one} and {other} together, found {name} alone"));
        return None;
    }
    files.0.zip(files.1)
}
