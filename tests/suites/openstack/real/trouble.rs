//! What goes wrong with real Keystone and Glance: its reason, and that it recovers.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use harness::openstack::{Detour, RealOpenStack};
use harness::patience::found;
use jiff::SignedDuration;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};
use vmcatcher_operator::openstack::OpenStackError;
use vmcatcher_operator::openstack::carry_over::{Outcome, Verdict};

use super::site::{Site, Want, administrator, application_credential, client, of_role, overview, property, waiting};

/// The images of an identifier.
fn count(servers: &RealOpenStack, identifier: &str) -> usize {
    let images = overview(servers, "vmcatcher");
    images.values().filter(|image| property(image, "vmcatcher_event_dc_identifier") == identifier).count()
}

/// A pass, whatever it began, and another pass.
async fn twice(site: &mut Site, want: Want<'_>) -> Outcome {
    site.pass(&[want]).await.unwrap();
    site.uploaded().await;
    site.pass(&[want]).await.unwrap().outcomes.remove(0)
}

#[tokio::test]
#[ignore = "needs the servers that tests/openstack/get installs"]
async fn a_quota_is_named_and_raised() {
    let servers = RealOpenStack::start();
    let limit = |name: &str, value: u32| {
        servers.client("admin", "limit", &json!({"name": name, "value": value}));
    };
    let mut site = Site::new(&servers, "trouble");
    // Quotas count MiB.
    site.size = 2 << 20;
    let identifier = "trouble-quota";
    let old = site.published(Want(identifier, Some(1))).await;
    servers.enforce_limits(true);
    // The first is asked for at the creation, the second at the upload.
    for (version, quota, enough) in [(2, "image_count_total", 1000), (3, "image_size_total", 20480)] {
        limit(quota, 0);
        let before = count(&servers, identifier);
        let want = Want(identifier, Some(version));
        let outcome = twice(&mut site, want).await;
        let (reason, message) = waiting(&outcome);
        assert!(reason == "QuotaExceeded" && message.contains(quota), "{reason}: {message}");
        let images = overview(&servers, "vmcatcher");
        assert_eq!(of_role(&images, identifier, "current").len(), 1, "the old one is in use");
        limit(quota, enough);
        site.pass_time(SignedDuration::from_mins(5));
        let new = site.published(want).await;
        assert_ne!(new, old);
        assert_eq!(count(&servers, identifier), before + 1, "nothing is left of the refused one");
    }
}

/// A file whose reader waits until its writer goes on.
fn pipe(folder: &tempfile::TempDir) -> PathBuf {
    let path = folder.path().join("pipe");
    mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the servers that tests/openstack/get installs"]
async fn glance_is_killed_during_an_upload_and_comes_back() {
    let servers = RealOpenStack::alone().await;
    let mut site = Site::new(&servers, "trouble");
    site.size = 2 << 20;
    let want = Want("trouble-killed", Some(2));
    let old = site.published(Want(want.0, Some(1))).await;

    let folder = tempfile::tempdir().unwrap();
    let path = pipe(&folder);
    site.location = Some(path.display().to_string());
    site.pass(&[want]).await.unwrap();
    let half = vec![2; site.size / 2];
    let writer = tokio::task::spawn_blocking(move || {
        let mut file = File::options().write(true).open(path).unwrap();
        file.write_all(&half).unwrap();
        file
    });
    let writer = writer.await.unwrap();
    let saving = found(async || {
        let images = site.client.image(site.record(want.0).registration?.id?).await.unwrap();
        (images.status == vmcatcher_operator::openstack::ImageStatus::Saving).then_some(images.id)
    });
    let cut = saving.await.expect("Glance has a part of it");
    servers.kill_glance();
    site.uploaded().await;
    drop(writer);
    let error = site.pass(&[want]).await.unwrap_err();
    assert!(matches!(error, OpenStackError::Unreachable { .. }), "{error:?}");

    servers.start_glance();
    site.location = None;
    let outcome = twice(&mut site, want).await;
    let (reason, message) = waiting(&outcome);
    assert!(reason == "ImportFailed" && message.contains("broke after"), "{reason}: {message}");
    let new = site.published(want).await;
    assert!(new != old && new != cut, "Glance never ends what it was killed in: another image is made");
    assert_eq!(count(&servers, want.0), 2);
}

#[tokio::test]
#[ignore = "needs the servers that tests/openstack/get installs"]
async fn a_token_that_was_revoked_is_renewed_and_keystone_may_be_away() {
    let servers = RealOpenStack::alone().await;
    let keystone = Detour::start(Some(&servers.auth_url), |_, _| true);
    let auth_url = format!("{}/v3", keystone.url());
    let mut site = Site::of(client(&auth_url, application_credential(&servers, "vmcatcher")), "trouble");
    let identifier = "trouble-token";
    site.published(Want(identifier, Some(1))).await;
    assert_eq!(keystone.tokens().len(), 1);
    servers.client("admin", "revoke", &json!({"token": keystone.tokens()[0]}));
    // Glance forgets that it had accepted it.
    servers.kill_glance();
    servers.start_glance();
    site.published(Want(identifier, Some(2))).await;
    assert_eq!(keystone.tokens().len(), 2, "one log-in more");

    // Nothing is done while nobody says who asks.
    site.done.clear();
    servers.kill_keystone();
    site.client = client(&servers.auth_url, application_credential(&servers, "vmcatcher"));
    site.restart();
    let want = Want(identifier, Some(3));
    let error = site.pass(&[want]).await.unwrap_err();
    assert!(matches!(error, OpenStackError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("POST /v3/auth/tokens"), "{error}");
    assert!(error.ends_the_pass() && site.done.is_empty());
    servers.start_keystone();
    site.published(want).await;
    assert_eq!(count(&servers, identifier), 3);
}

/// Glance asks Keystone about tokens that it does not know, and answers 503 while there is no Keystone.
#[tokio::test]
#[ignore = "needs the servers that tests/openstack/get installs"]
async fn glance_without_keystone_is_a_cloud_that_is_not_there() {
    let servers = RealOpenStack::alone().await;
    let mut site = Site::new(&servers, "trouble");
    let want = Want("trouble-keystone", Some(1));
    let id = site.published(want).await;
    servers.kill_keystone();
    servers.kill_glance();
    servers.start_glance();
    let error = site.pass(&[want]).await.unwrap_err();
    assert!(error.ends_the_pass(), "{error:?}");
    servers.start_keystone();
    site.done.clear();
    assert_eq!(site.published(want).await, id);
    assert_eq!(site.done, Vec::<String>::new());
}

#[tokio::test]
#[ignore = "needs the servers that tests/openstack/get installs"]
async fn a_reader_is_told_what_it_may_not_do() {
    let servers = RealOpenStack::shared().await;
    let mut site = Site::of(client(&servers.auth_url, application_credential(servers, "readonly")), "trouble");
    let want = Want("trouble-reader", Some(1));
    let outcome = twice(&mut site, want).await;
    let (reason, message) = waiting(&outcome);
    assert_eq!(reason, "NotAuthorized", "{message}");
    for part in ["POST /v2/images", "403", "the project must have a role, such as member"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(count(servers, want.0), 0);
    // The credential is another one, which may.
    site.client = client(&servers.auth_url, application_credential(servers, "vmcatcher"));
    site.restart();
    site.pass_time(SignedDuration::from_mins(5));
    site.published(want).await;
}

/// An administrator made an image public. The operator, a member, cannot do the same for the next version.
#[tokio::test]
#[ignore = "needs the servers that tests/openstack/get installs"]
async fn what_only_an_administrator_may_do_is_named_and_the_old_image_stays() {
    let servers = RealOpenStack::shared().await;
    let mut site = Site::new(servers, "trouble");
    let identifier = "trouble-public";
    let publish = |id: &Value| {
        let changes = json!([{"op": "replace", "path": "/visibility", "value": "public"}]);
        servers.client("admin", "patch", &json!({"id": id, "changes": changes}));
    };
    let old = site.published(Want(identifier, Some(1))).await;
    publish(&json!(old));
    let outcome = twice(&mut site, Want(identifier, Some(2))).await;
    let (reason, message) = waiting(&outcome);
    assert_eq!(reason, "NotAuthorized", "{message}");
    assert!(message.contains("an administrator must make the new image public"), "{message}");
    let images = overview(servers, "vmcatcher");
    let current = of_role(&images, identifier, "current");
    assert_eq!((current.len(), &current[0]["id"], &current[0]["visibility"]), (1, &json!(old), &json!("public")));
    let staged = of_role(&images, identifier, "staged");
    assert_eq!((staged.len(), &staged[0]["is_hidden"]), (1, &json!(true)));
    publish(&staged[0]["id"]);
    let new = site.published(Want(identifier, Some(2))).await;
    assert_eq!(json!(new), staged[0]["id"]);
    let images = overview(servers, "vmcatcher");
    assert_eq!(of_role(&images, identifier, "current")[0]["visibility"], "public");
    assert_eq!(of_role(&images, identifier, "retired").len(), 1);
}

/// A project that an image is shared with is deleted: Glance keeps its id, and so does the operator.
#[tokio::test]
#[ignore = "needs the servers that tests/openstack/get installs"]
async fn a_member_whose_project_is_gone_is_no_obstacle() {
    let servers = RealOpenStack::shared().await;
    let mut site = Site::of(client(&servers.auth_url, administrator(servers)), "trouble");
    let identifier = "trouble-member";
    let gone = servers.client("admin", "create_project", &json!({"name": "gone"})).as_str().unwrap().to_owned();
    site.settings.visibility = vmcatcher_operator::openstack::Visibility::Shared;
    site.settings.shared_with = [gone.clone()].into();
    site.published(Want(identifier, Some(1))).await;
    servers.client("admin", "delete_project", &json!({"id": gone}));
    let outcome = site.converge(&[Want(identifier, Some(2))]).await.remove(0);
    assert!(matches!(outcome.verdict, Verdict::Published { .. }), "{outcome:#?}");
    let images = overview(servers, "admin");
    let current = of_role(&images, identifier, "current")[0];
    assert_eq!((&current["visibility"], &current["members"]), (&json!("shared"), &json!({gone.as_str(): "pending"})));
    assert_eq!(site.converge(&[Want(identifier, None)]).await[0].verdict, Verdict::Retired);
}
