//! The credentials of a registry: of an image pull Secret (`.dockerconfigjson`), or as for any source.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret as _;
use serde::Deserialize;

use super::{Named, SourceError};
use crate::fetch::{Credentials, RealmRule, RegistryAccess};
use crate::imagelist::SourceUrl;
use crate::imagelist::oci::Repository;
use crate::store::SecretData;

/// The entry of a Secret of the type `kubernetes.io/dockerconfigjson`.
const DOCKER_CONFIG: &str = ".dockerconfigjson";
/// What a docker configuration must have.
const EXPECTED: &str =
    "in .dockerconfigjson, auths with the registry's host, and for it auth, or username and password";

/// `config.json` of docker.
#[derive(Deserialize)]
struct DockerConfig {
    auths: BTreeMap<String, Login>,
}

#[derive(Deserialize)]
struct Login {
    username: Option<String>,
    password: Option<String>,
    auth: Option<String>,
}

/// A repository without credentials.
pub(super) fn anonymous(repository: &Repository) -> RegistryAccess {
    RegistryAccess { repository: repository.clone(), realms: RealmRule::none() }
}

/// The credentials for a repository, and the servers of tokens that may have them: those that the Secret's annotation
/// names. A docker configuration names the hosts that its credentials are for; other Secrets need the annotation for the
/// registry too.
pub(super) fn credentials(
    secret: &Named,
    repository: &Repository,
    url: &SourceUrl,
) -> Result<(Credentials, RegistryAccess), SourceError> {
    let allowed = SecretData { entries: BTreeMap::new(), ..secret.data.clone() };
    let refused = |message| secret.not_allowed(message);
    let credentials = if secret.data.entries.contains_key(DOCKER_CONFIG) {
        secret.data.holds_registry_credentials().map_err(refused)?;
        let credentials = of_docker(secret, repository)?;
        secret.data.does_not_refuse(url.url()).map_err(refused)?;
        secret.data.allows_scheme(url.url()).map_err(refused)?;
        credentials
    } else {
        let credentials = super::credentials(secret)?;
        secret.data.allows(url.url()).map_err(refused)?;
        credentials
    };
    let realms = RealmRule::new(move |realm| allowed.allows(realm));
    Ok((credentials, RegistryAccess { repository: repository.clone(), realms }))
}

fn of_docker(secret: &Named, repository: &Repository) -> Result<Credentials, SourceError> {
    let text = secret.text(DOCKER_CONFIG).ok_or_else(|| secret.invalid(EXPECTED))?;
    // The error of the parser may repeat a secret.
    let config: DockerConfig = serde_json::from_str(text.expose_secret()).map_err(|_| secret.invalid(EXPECTED))?;
    let logins = config.auths.iter().filter(|(name, _)| is_for(name, repository));
    let (_, login) = logins.max_by_key(|(name, _)| name.len()).ok_or_else(|| secret.invalid(EXPECTED))?;
    let decoded = login.auth.as_ref().and_then(|auth| STANDARD.decode(auth.trim()).ok());
    let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    match (&login.username, &login.password, decoded.as_ref().and_then(|text| text.split_once(':'))) {
        (Some(user), Some(password), _) => Ok(Credentials::basic(user.as_str(), password.as_str())),
        (_, _, Some((user, password))) => Ok(Credentials::basic(user, password)),
        (_, _, None) => Err(secret.invalid(EXPECTED)),
    }
}

/// Whether an entry of `auths` is for a repository: its host, or its host and the beginning of its path. Some have a
/// scheme before it or, for Docker's own registry, `/v1/` behind it.
fn is_for(name: &str, repository: &Repository) -> bool {
    let name = name.strip_prefix("https://").or_else(|| name.strip_prefix("http://")).unwrap_or(name);
    let (host, path) = name.split_once('/').unwrap_or((name, ""));
    let path = path.trim_end_matches('/');
    let docker = |host: &str| matches!(host, "docker.io" | "index.docker.io" | "registry-1.docker.io");
    let same_host = host.eq_ignore_ascii_case(repository.host()) || (docker(host) && docker(repository.host()));
    let below = repository.path().strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    same_host && (path.is_empty() || matches!(path, "v1" | "v2") || below)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ObjectKey;

    fn secret(config: &str, allowed_hosts: Option<&str>) -> Named {
        let entries = BTreeMap::from([(DOCKER_CONFIG.to_owned(), config.as_bytes().to_vec().into())]);
        let kind = "kubernetes.io/dockerconfigjson".to_owned();
        let allowed_hosts = allowed_hosts.map(str::to_owned);
        let data = SecretData { kind, allowed_hosts, allow_plain_http: false, entries };
        Named { key: ObjectKey::new("n", "pull"), data }
    }

    fn found(config: &str, allowed_hosts: Option<&str>, scheme: &str) -> String {
        let repository: Repository = "registry.example.org:5000/a/b".parse().unwrap();
        let url = repository.address(scheme == "http", "tags/list").unwrap();
        match credentials(&secret(config, allowed_hosts), &repository, &url) {
            Ok((Credentials::Basic { username, password }, _)) => {
                format!("{}:{}", username.expose_secret(), password.expose_secret())
            }
            Ok((Credentials::Bearer(_), _)) => "a token".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_docker_configuration_is_for_its_hosts_only() {
        let auths = |name: &str| format!(r#"{{"auths": {{"other": {{}}, "{name}": {{"auth": "dTpwOnc="}}}}}}"#);
        for name in [
            "registry.example.org:5000",
            "https://Registry.Example.org:5000/v1/",
            "registry.example.org:5000/a",
            "registry.example.org:5000/a/b",
        ] {
            assert_eq!(found(&auths(name), None, "https"), "u:p:w", "{name}");
        }
        for name in ["registry.example.org", "registry.example.org:5000/b", "registry.example.org:5000/a/bc"] {
            assert!(found(&auths(name), None, "https").contains("expected in .dockerconfigjson"), "{name}");
        }
        let both = r#"{"auths": {"registry.example.org:5000": {"username": "u", "password": "s3cret"}}}"#;
        assert_eq!(found(both, None, "https"), "u:s3cret");
        assert!(found(both, Some("elsewhere.example.org"), "https").contains("does not name"));
        assert!(found(both, None, "http").contains("expected https, found http"));
        for broken in ["", "{}", r#"{"auths": {"registry.example.org:5000": {"auth": "s3cret"}}}"#, "s3cret"] {
            let error = found(broken, None, "https");
            assert!(error.contains("expected in .dockerconfigjson") && !error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn only_the_annotation_lets_credentials_go_to_a_server_of_tokens() {
        let repository: Repository = "registry.example.org:5000/a".parse().unwrap();
        let url = repository.address(false, "tags/list").unwrap();
        let config = r#"{"auths": {"registry.example.org:5000": {"username": "u", "password": "p"}}}"#;
        let hosts = "registry.example.org:5000, tokens.example.org";
        for (allowed, expected) in [(None, false), (Some(hosts), true)] {
            let (_, access) = credentials(&secret(config, allowed), &repository, &url).unwrap();
            let realm = "https://tokens.example.org/token".parse().unwrap();
            assert_eq!(access.realms.allows(&realm).is_ok(), expected, "{allowed:?}");
        }
    }
}
