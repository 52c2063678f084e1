//! The request for a token: `POST /v3/auth/tokens` (Identity API v3, "Password authentication with scoped
//! authorization" and "Authenticating with an Application Credential"). Pure.

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use url::Url;

use crate::openstack::address::base;
use crate::openstack::credentials::{Credentials, Domain, Project, User};

/// The address of the call: Keystone's address, with `/v3` once.
pub fn address(auth_url: &Url) -> Url {
    let mut url = auth_url.clone();
    url.set_path(&format!("{}/v3/auth/tokens", base(auth_url)));
    url
}

/// The body of the call. It contains the secret. An application credential has its project, so no scope is given:
/// Keystone would answer 401.
pub fn body(credentials: &Credentials) -> Value {
    match credentials {
        Credentials::ApplicationCredentialId { id, secret } => {
            application_credential(&json!({"id": id, "secret": secret.expose_secret()}))
        }
        Credentials::ApplicationCredentialName { name, user, secret } => {
            let user = identified(user);
            application_credential(&json!({"name": name, "user": user, "secret": secret.expose_secret()}))
        }
        Credentials::Password { user, password, project } => {
            let mut user = identified(user);
            user["password"] = password.expose_secret().into();
            json!({"auth": {
                "identity": {"methods": ["password"], "password": {"user": user}},
                "scope": {"project": of_project(project)},
            }})
        }
    }
}

fn application_credential(credential: &Value) -> Value {
    json!({"auth": {"identity": {"methods": ["application_credential"], "application_credential": credential}}})
}

fn identified(user: &User) -> Value {
    match user {
        User::Id(id) => json!({"id": id}),
        User::Name { name, domain } => json!({"name": name, "domain": of_domain(domain)}),
    }
}

fn of_project(project: &Project) -> Value {
    match project {
        Project::Id(id) => json!({"id": id}),
        Project::Name { name, domain } => json!({"name": name, "domain": of_domain(domain)}),
    }
}

fn of_domain(domain: &Domain) -> Value {
    match domain {
        Domain::Id(id) => json!({"id": id}),
        Domain::Name(name) => json!({"name": name}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v3_is_in_the_address_once() {
        for (given, expected) in [
            ("http://k:5000", "http://k:5000/v3/auth/tokens"),
            ("http://k:5000/", "http://k:5000/v3/auth/tokens"),
            ("http://k:5000/v3", "http://k:5000/v3/auth/tokens"),
            ("https://k/identity/v3/", "https://k/identity/v3/auth/tokens"),
            ("https://k/identity", "https://k/identity/v3/auth/tokens"),
        ] {
            assert_eq!(address(&given.parse().unwrap()).as_str(), expected);
        }
    }

    /// As in the recorded exchanges 003, 004 and 009, which Keystone accepted.
    #[test]
    fn requests_are_as_keystone_accepts_them() {
        let user = User::Name { name: "publisher".to_owned(), domain: Domain::Name("egi".to_owned()) };
        let secret = || "test-only-password".to_owned().into();
        let cases = [
            (
                Credentials::ApplicationCredentialId { id: "81cc".to_owned(), secret: secret() },
                r#"{"auth":{"identity":{"methods":["application_credential"],"application_credential":{"id":"81cc","secret":"test-only-password"}}}}"#,
            ),
            (
                Credentials::ApplicationCredentialName {
                    name: "vmcatcher".to_owned(),
                    user: user.clone(),
                    secret: secret(),
                },
                r#"{"auth":{"identity":{"methods":["application_credential"],"application_credential":{"name":"vmcatcher","user":{"name":"publisher","domain":{"name":"egi"}},"secret":"test-only-password"}}}}"#,
            ),
            (
                Credentials::Password {
                    user,
                    password: secret(),
                    project: Project::Name { name: "publisher".to_owned(), domain: Domain::Id("9e95".to_owned()) },
                },
                r#"{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"publisher","domain":{"name":"egi"},"password":"test-only-password"}}},"scope":{"project":{"name":"publisher","domain":{"id":"9e95"}}}}}"#,
            ),
            (
                Credentials::Password {
                    user: User::Id("1653".to_owned()),
                    password: secret(),
                    project: Project::Id("5320".to_owned()),
                },
                r#"{"auth":{"identity":{"methods":["password"],"password":{"user":{"id":"1653","password":"test-only-password"}}},"scope":{"project":{"id":"5320"}}}}"#,
            ),
        ];
        for (credentials, expected) in cases {
            assert_eq!(body(&credentials).to_string(), expected);
        }
    }
}
