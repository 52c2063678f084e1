//! The credentials for Keystone, read from the entries of a Secret. Pure.
//!
//! A Secret has the entries of one method, or a `clouds.yaml`.

mod clouds;
mod error;
mod method;
mod model;

use secrecy::SecretString;
use url::Url;

use self::method::Fields;

pub use self::error::CredentialsError;
pub use self::model::{CloudSettings, Credentials, Domain, Project, User};

/// The entry with a whole `clouds.yaml`.
pub const CLOUDS_FILE: &str = "clouds.yaml";

impl Credentials {
    /// Reads the credentials from the entries of a Secret. `entry` returns the content of an entry, `names` are the
    /// names of all entries. `cloud` chooses an entry of `clouds.yaml`, and is not used otherwise; `auth_url` is the
    /// configured address, which must be the one in `clouds.yaml` too.
    pub fn from_entries(
        entry: impl Fn(&str) -> Option<SecretString>,
        names: &[String],
        cloud: Option<&str>,
        auth_url: &Url,
    ) -> Result<(Self, CloudSettings), CredentialsError> {
        let Some(file) = entry(CLOUDS_FILE) else {
            if let Some(cloud) = cloud {
                return Err(CredentialsError::NoFile { cloud: cloud.to_owned(), found: names.to_vec() });
            }
            let credentials = method::read(&Fields::of_secret(&entry, names))?;
            return Ok((credentials, CloudSettings::default()));
        };
        if let Some(also) = names.iter().find(|name| method::NAMES.contains(&name.as_str())) {
            return Err(CredentialsError::Both { also: also.clone() });
        }
        clouds::read(&file, cloud, auth_url)
    }
}

#[cfg(test)]
mod tests;
