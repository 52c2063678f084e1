//! The real servers: that the stand-in says what they say, and the product on them.

mod import;
mod kill;
mod life;
mod matrix;
mod site;
mod tenants;
mod trouble;

use std::collections::BTreeMap;

use harness::openstack::{DTEAM, OPS, OpenStack, PASSWORD, PUBLISHER, RealOpenStack};
use serde_json::json;

use super::conversation::{Cloud, converse};

fn stand_in(cloud: &OpenStack) -> Cloud {
    let projects = [("ops", OPS), ("dteam", DTEAM), ("publisher", PUBLISHER)];
    let projects = projects.map(|(name, id)| (name.to_owned(), id.to_owned()));
    Cloud {
        auth_url: cloud.auth_url(),
        image_url: cloud.image_url(),
        projects: BTreeMap::from(projects),
        password: PASSWORD.to_owned(),
    }
}

fn real(cloud: &RealOpenStack) -> Cloud {
    Cloud {
        auth_url: cloud.auth_url.clone(),
        image_url: cloud.image_url.clone(),
        projects: cloud.projects.clone(),
        password: cloud.password.clone(),
    }
}

#[tokio::test]
#[ignore = "needs the servers that tests/openstack/get installs"]
async fn the_stand_in_says_what_the_real_servers_say() {
    // Lists of all images are part of it: so there are no others.
    let servers = RealOpenStack::start();
    let real = converse(&real(&servers)).await;
    eprintln!("{} exchanges with the real servers", real.len());
    let cloud = OpenStack::start();
    let stand_in = converse(&stand_in(&cloud)).await;
    let differences = real.iter().zip(&stand_in).filter(|(real, stand_in)| real != stand_in);
    let differences: Vec<_> = differences
        .map(|(real, stand_in)| format!("{}\n  real     {}\n  stand-in {}", real.0, real.1, stand_in.1))
        .collect();
    assert_eq!(real.len(), stand_in.len());
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n"));
}

#[tokio::test]
#[ignore = "needs the servers that tests/openstack/get installs"]
async fn killed_servers_come_back_with_their_images() {
    let servers = RealOpenStack::alone().await;
    let image = json!({"name": "kept", "disk_format": "raw", "container_format": "bare", "data": "bytes"});
    let id = servers.client("publisher", "create", &image);
    servers.kill_glance();
    assert!(reqwest::get(&servers.image_url).await.is_err());
    servers.start_glance();
    servers.kill_keystone();
    assert!(reqwest::get(&servers.auth_url).await.is_err());
    servers.start_keystone();
    let shown = servers.client("vmcatcher", "show", &json!({"id": id}));
    assert_eq!((&shown["status"], &shown["size"], &shown["members"]), (&json!("active"), &json!(5), &json!({})));
    servers.client("publisher", "delete", &json!({"id": id}));
}

#[tokio::test]
#[ignore = "needs the servers that tests/openstack/get installs"]
async fn quotas_are_enforced_when_asked_for() {
    let servers = RealOpenStack::alone().await;
    servers.enforce_limits(true);
    servers.client("admin", "limit", &json!({"name": "image_count_total", "value": 0}));
    let refused = servers.client("publisher", "create", &json!({"name": "one too many"}));
    assert_eq!(refused["status"], 413, "{refused}");
    servers.client("admin", "limit", &json!({"name": "image_count_total", "value": 1000}));
    servers.enforce_limits(false);
    let id = servers.client("publisher", "create", &json!({"name": "one more"}));
    servers.client("publisher", "delete", &json!({"id": id}));
}
