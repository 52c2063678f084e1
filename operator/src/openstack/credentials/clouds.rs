//! A `clouds.yaml`, as openstacksdk reads it ("Configuring OpenStack SDK Applications"). Keys that are not used here are
//! ignored, except those that would change how the cloud is reached. Pure.

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};
use url::Url;

use super::error::CredentialsError;
use super::method::{self, Field, Fields};
use super::model::{CloudSettings, Credentials};
use crate::openstack::address::{same_server, shown};
use crate::openstack::interface::Interface;
use crate::text::one_line;
use crate::yaml::documents;

/// The types that are supported, as keystoneauth names them.
const AUTH_TYPES: [&str; 3] = ["password", "v3password", "v3applicationcredential"];

/// The most characters of a value in a message.
const SHOWN: usize = 80;

/// Reads the chosen cloud, or the only one.
pub(super) fn read(
    file: &SecretString,
    cloud: Option<&str>,
    auth_url: &Url,
) -> Result<(Credentials, CloudSettings), CredentialsError> {
    let value = parse(file.expose_secret())?;
    let clouds = value.get("clouds").and_then(Value::as_object);
    let none = || CredentialsError::NoCloud { expected: "an object clouds".to_owned(), found: keys(&value) };
    let clouds = clouds.ok_or_else(none)?;
    let (name, cloud) = choose(clouds, cloud)?;
    let cloud = Cloud { place: format!("clouds.yaml, cloud \"{}\"", one_line(name.as_bytes(), SHOWN)), object: cloud };
    cloud.check()?;
    let auth = cloud.auth()?;
    cloud.check_address(auth, auth_url)?;
    let value = |name: &str| field(auth, name);
    let fields = Fields { place: cloud.place.clone(), names: auth.keys().cloned().collect(), value: Box::new(value) };
    Ok((method::read(&fields)?, cloud.settings()?))
}

fn parse(text: &str) -> Result<Value, CredentialsError> {
    let mut found = documents(text);
    let first = found.next().ok_or(CredentialsError::Malformed { line: 1, message: "nothing".to_owned() })?;
    if let Some(second) = found.next() {
        let message = "expected one document, found a second one".to_owned();
        return Err(CredentialsError::Malformed { line: second.line, message });
    }
    first.value().map_err(|error| {
        let (line, message) = first.malformed(&error);
        CredentialsError::Malformed { line, message }
    })
}

fn choose<'a>(
    clouds: &'a Map<String, Value>,
    cloud: Option<&str>,
) -> Result<(&'a str, &'a Map<String, Value>), CredentialsError> {
    let none = |expected: String| CredentialsError::NoCloud { expected, found: clouds.keys().cloned().collect() };
    let found = match cloud {
        Some(name) => clouds.get_key_value(name).ok_or_else(|| none(format!("the cloud {name:?}")))?,
        None if clouds.len() > 1 => return Err(none("the configuration to choose one of the clouds".to_owned())),
        None => clouds.iter().next().ok_or_else(|| none("a cloud".to_owned()))?,
    };
    let object = found.1.as_object().ok_or_else(|| none(format!("an object as cloud {:?}", found.0)))?;
    Ok((found.0, object))
}

/// A cloud of the file.
struct Cloud<'a> {
    place: String,
    object: &'a Map<String, Value>,
}

impl<'a> Cloud<'a> {
    fn auth(&self) -> Result<&'a Map<String, Value>, CredentialsError> {
        let found = self.object.get("auth");
        found.and_then(Value::as_object).ok_or_else(|| {
            self.wrong("auth", "an object with the credentials", found.map_or("nothing", kind).to_owned())
        })
    }

    /// Refuses what must not be ignored.
    fn check(&self) -> Result<(), CredentialsError> {
        let authority = "the certificate authority is configured by tls of the target";
        let identity = "the client certificate is configured by tls of the target";
        let refused = [
            (
                "verify",
                Value::Bool(false),
                "the server's certificate is always verified; tls of the target adds an authority",
            ),
            (
                "insecure",
                Value::Bool(true),
                "the server's certificate is always verified; tls of the target adds an authority",
            ),
        ];
        for (name, value, instead) in refused {
            if self.object.get(name).is_some_and(|found| is_same(found, &value)) {
                return Err(self.unsupported(name, value.to_string(), instead));
            }
        }
        for (name, instead) in [("cacert", authority), ("cert", identity), ("key", identity)] {
            match self.object.get(name) {
                None | Some(Value::Null) => {}
                Some(found) => return Err(self.unsupported(name, format!("{} (a path)", kind(found)), instead)),
            }
        }
        self.check_type()
    }

    fn check_type(&self) -> Result<(), CredentialsError> {
        if let Some(found) = self.text("auth_type")?
            && !AUTH_TYPES.contains(&found.as_str())
        {
            let expected = "password, v3password or v3applicationcredential";
            return Err(self.wrong("auth_type", expected, quoted(&found)));
        }
        match self.object.get("identity_api_version") {
            None | Some(Value::Null) => Ok(()),
            Some(Value::Number(number)) if number.as_f64() == Some(3.0) => Ok(()),
            Some(Value::String(text)) if text.trim_start_matches('v') == "3" => Ok(()),
            Some(found) => Err(self.wrong("identity_api_version", "3", quoted(&found.to_string()))),
        }
    }

    fn check_address(&self, auth: &Map<String, Value>, expected: &Url) -> Result<(), CredentialsError> {
        let text = match auth.get("auth_url") {
            None | Some(Value::Null) => return Ok(()),
            Some(Value::String(text)) => text,
            Some(other) => return Err(self.wrong("auth_url", "an address", kind(other).to_owned())),
        };
        let found: Url = text.parse().map_err(|_| self.wrong("auth_url", "an address", quoted(text)))?;
        if same_server(&found, expected) {
            return Ok(());
        }
        let (expected, found) = (shown(expected), one_line(shown(&found).as_bytes(), SHOWN));
        Err(CredentialsError::OtherAddress { place: self.place.clone(), expected, found })
    }

    fn settings(&self) -> Result<CloudSettings, CredentialsError> {
        let interface = self.text("interface")?.map(|text| {
            let expected = "public, internal or admin";
            Interface::parse(&text).ok_or_else(|| self.wrong("interface", expected, quoted(&text)))
        });
        Ok(CloudSettings { region: self.text("region_name")?, interface: interface.transpose()? })
    }

    /// A setting that is no secret.
    fn text(&self, name: &str) -> Result<Option<String>, CredentialsError> {
        match self.object.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.clone())),
            Some(other) => Err(self.wrong(name, "a text", kind(other).to_owned())),
        }
    }

    fn wrong(&self, name: &str, expected: &'static str, found: String) -> CredentialsError {
        CredentialsError::Value { place: self.place.clone(), name: name.to_owned(), expected, found }
    }

    fn unsupported(&self, name: &'static str, found: String, instead: &'static str) -> CredentialsError {
        CredentialsError::NotSupported { place: self.place.clone(), name, found, instead }
    }
}

/// A value of `auth`. `null` is as good as nothing.
fn field(auth: &Map<String, Value>, name: &str) -> Field {
    match auth.get(name)? {
        Value::Null => None,
        Value::String(text) => Some(Ok(text.clone().into())),
        other => Some(Err(kind(other))),
    }
}

/// Whether a value is a boolean, or a text that openstacksdk takes for it.
fn is_same(found: &Value, expected: &Value) -> bool {
    found == expected || found.as_str().is_some_and(|text| text.eq_ignore_ascii_case(&expected.to_string()))
}

/// The kind of a value, for a message that must not show the value.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false, which needs quotes to be a text",
        Value::Number(_) => "a number, which needs quotes to be a text",
        Value::String(text) if text.is_empty() => "an empty text",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", one_line(text.as_bytes(), SHOWN))
}

fn keys(value: &Value) -> Vec<String> {
    value.as_object().map(|object| object.keys().cloned().collect()).unwrap_or_default()
}
