//! The address of a broker, for the AMQP library and for messages. Pure.

use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use percent_encoding::percent_decode_str;
use url::{Host, Url};

use super::files::Credentials;

/// The longest frame in bytes. The library has buffers of 32 frames for each direction.
const FRAME: u32 = 32 * 1024;
/// Seconds between signs of life; after twice the time without one a connection has ended (AMQP 0-9-1, section 4.2.7).
const HEARTBEAT: u16 = 30;
/// The most bytes of a virtual host's name (a short string).
const LONGEST_NAME: usize = 255;

/// The address for the library. The words of an error say what was expected of the URL.
pub(super) fn library(url: &Url, credentials: &Credentials) -> Result<AMQPUri, String> {
    let scheme = match url.scheme() {
        "amqp" => AMQPScheme::AMQP,
        "amqps" => AMQPScheme::AMQPS,
        _ => return Err("expected the scheme amqp or amqps".to_owned()),
    };
    let host = match url.host().ok_or("expected a host")? {
        Host::Domain(name) => decoded(name)?,
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    };
    let port = url.port().unwrap_or_else(|| scheme.default_port());
    let userinfo = AMQPUserInfo { username: credentials.username.clone(), password: credentials.password.clone() };
    let query = AMQPQueryString { frame_max: Some(FRAME), heartbeat: Some(HEARTBEAT), ..AMQPQueryString::default() };
    Ok(AMQPUri { scheme, authority: AMQPAuthority { userinfo, host, port }, vhost: virtual_host(url)?, query })
}

/// The address for messages: without user, password, query and fragment.
pub(super) fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

/// The path without its slash, decoded. An empty one is the default, `/`, as most clients have it.
fn virtual_host(url: &Url) -> Result<String, String> {
    let name = match url.path().strip_prefix('/').unwrap_or_default() {
        "" => "/".to_owned(),
        name => decoded(name)?,
    };
    if name.len() > LONGEST_NAME {
        return Err(format!("expected a virtual host of at most {LONGEST_NAME} bytes, found {}", name.len()));
    }
    Ok(name)
}

fn decoded(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| "expected UTF-8 after percent-decoding")?;
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<AMQPUri, String> {
        let credentials = Credentials { username: "me".to_owned(), password: "p/w@rd".to_owned() };
        library(&url.parse().unwrap(), &credentials)
    }

    #[test]
    fn an_address_has_a_host_a_port_and_a_virtual_host() {
        for (url, host, port, virtual_host) in [
            ("amqp://broker", "broker", 5672, "/"),
            ("amqp://broker/", "broker", 5672, "/"),
            ("amqps://broker.example.org/%2f", "broker.example.org", 5671, "/"),
            ("amqp://127.0.0.1:5673/site", "127.0.0.1", 5673, "site"),
            ("amqp://[::1]:1/a%20b", "::1", 1, "a b"),
        ] {
            let read = read(url).unwrap();
            assert_eq!((read.authority.host.as_str(), read.authority.port), (host, port), "{url}");
            assert_eq!(read.vhost, virtual_host, "{url}");
            assert_eq!(read.authority.userinfo.password, "p/w@rd");
        }
    }

    #[test]
    fn an_address_that_the_library_cannot_have_is_refused() {
        let long = format!("amqp://broker/{}", "v".repeat(256));
        for (url, found) in [
            ("https://broker", "scheme amqp"),
            ("amqp:broker", "a host"),
            ("amqp://broker/%ff", "UTF-8"),
            (&long, "at most 255 bytes, found 256"),
        ] {
            assert!(read(url).unwrap_err().contains(found), "{url}");
        }
    }

    #[test]
    fn a_message_has_no_credentials() {
        let url = "amqps://user:secret@broker:1/site?password=secret#secret".parse().unwrap();
        assert_eq!(shown(&url), "amqps://broker:1/site");
    }
}
