//! The projects, users, credentials and endpoints that a fresh cloud has. The ids are those of the recorded one.

use std::collections::{BTreeMap, BTreeSet};

/// The secret of all users and application credentials.
pub const PASSWORD: &str = "test-only-password";
/// The project of administrators.
pub const ADMIN: &str = "0238e19785934e6a96a56b6bc4c914be";
/// The project of the publisher.
pub const PUBLISHER: &str = "532012dcee824b119a4ebe68574d80df";
/// A project that takes images.
pub const OPS: &str = "e6654fc80e244f08977159f24da49493";
/// Another project that takes images.
pub const DTEAM: &str = "8c423c20f0f949f481b2baa652372388";
/// The application credential of the publisher.
pub const VMCATCHER: &str = "81cc5ea707804e0885ba81c76f58d80e";
/// An application credential of the publisher that only reads.
pub const READONLY: &str = "baf999595fae44faa0b1cfe10b1db0aa";

/// Ids of users and domains.
pub mod ids {
    /// The domain of the projects that are not administrators'.
    pub const EGI: &str = "9e950fba0d504a76aa43fbd70a248728";
    /// The user of [`super::PUBLISHER`].
    pub const PUBLISHER_USER: &str = "1653de5d3d004e3296b158ccf10a7274";
    /// The user of [`super::OPS`].
    pub const OPS_USER: &str = "e45e34cbf73048b1824be75e99345b9f";
    /// The user of [`super::DTEAM`].
    pub const DTEAM_USER: &str = "a541796aad0a4cbf99be4303a443e88b";
    /// The administrator.
    pub const ADMIN_USER: &str = "b3c6d79d5bad4899849aae0ccba2bd3d";
}

/// A project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// 32 hexadecimal digits.
    pub id: String,
    /// Unique in its domain.
    pub name: String,
    /// `Default` or `egi`.
    pub domain: String,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// 32 hexadecimal digits.
    pub id: String,
    /// Unique in its domain.
    pub name: String,
    /// `Default` or `egi`.
    pub domain: String,
    /// What it logs in with.
    pub password: String,
    /// By project.
    pub roles: BTreeMap<String, BTreeSet<String>>,
}

/// An application credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// 32 hexadecimal digits.
    pub id: String,
    /// Unique for its user.
    pub name: String,
    /// What it logs in with.
    pub secret: String,
    /// The user's id.
    pub user: String,
    /// The project's id.
    pub project: String,
    /// What it may do in the project.
    pub roles: BTreeSet<String>,
}

/// An entry of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// `identity` or `image`.
    pub service: String,
    /// `public`, `internal` or `admin`.
    pub interface: String,
    /// `RegionOne` unless a test has another.
    pub region: String,
    /// With or without `/v2`.
    pub url: String,
}

fn set(roles: &[&str]) -> BTreeSet<String> {
    roles.iter().map(|role| (*role).to_owned()).collect()
}

const MEMBER: &[&str] = &["member", "reader"];

pub(super) fn projects() -> Vec<Project> {
    let all =
        [(ADMIN, "admin", "Default"), (PUBLISHER, "publisher", "egi"), (OPS, "ops", "egi"), (DTEAM, "dteam", "egi")];
    all.map(|(id, name, domain)| Project { id: id.to_owned(), name: name.to_owned(), domain: domain.to_owned() })
        .to_vec()
}

pub(super) fn users() -> Vec<User> {
    let user = |id: &str, name: &str, domain: &str, project: Option<&str>, roles: &[&str]| User {
        id: id.to_owned(),
        name: name.to_owned(),
        domain: domain.to_owned(),
        password: PASSWORD.to_owned(),
        roles: project.map(|project| (project.to_owned(), set(roles))).into_iter().collect(),
    };
    vec![
        user(ids::ADMIN_USER, "admin", "Default", Some(ADMIN), &["member", "manager", "admin", "reader"]),
        user(ids::PUBLISHER_USER, "publisher", "egi", Some(PUBLISHER), MEMBER),
        user(ids::OPS_USER, "ops-user", "egi", Some(OPS), MEMBER),
        user(ids::DTEAM_USER, "dteam-user", "egi", Some(DTEAM), MEMBER),
        user("5a0e1f7fb92b4c2f8b0f1e8f4ad1b7aa", "reader", "egi", Some(PUBLISHER), &["reader"]),
        user("6f3d5bb3ac384ac9905c8f5ee6d1c7bb", "nobody", "egi", None, &[]),
    ]
}

pub(super) fn credentials() -> Vec<Credential> {
    let all = [(VMCATCHER, "vmcatcher", MEMBER), (READONLY, "readonly", &["reader"])];
    let credential = |(id, name, roles): (&str, &str, &[&str])| Credential {
        id: id.to_owned(),
        name: name.to_owned(),
        secret: PASSWORD.to_owned(),
        user: ids::PUBLISHER_USER.to_owned(),
        project: PUBLISHER.to_owned(),
        roles: set(roles),
    };
    all.map(credential).to_vec()
}

pub(super) fn catalogue(identity_url: &str, image_url: &str) -> Vec<Endpoint> {
    let services = [("identity", format!("{identity_url}/v3")), ("image", image_url.to_owned())];
    let endpoints = services.iter().flat_map(|(service, url)| {
        ["public", "internal", "admin"].map(|interface| Endpoint {
            service: (*service).to_owned(),
            interface: interface.to_owned(),
            region: "RegionOne".to_owned(),
            url: url.clone(),
        })
    });
    endpoints.collect()
}
