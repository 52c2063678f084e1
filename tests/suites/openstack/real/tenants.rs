//! Images of tenants and of other operators that say that they are ours, on real Glance.

use harness::openstack::RealOpenStack;
use serde_json::{Value, json};
use vmcatcher_operator::openstack::carry_over::Verdict;

use super::site::{Site, Want, of_role, overview, property, waiting};

/// An image that says all that ours says, with the same bytes.
fn forge(servers: &RealOpenStack, cloud: &str, site: &Site, identifier: &str, more: &Value) -> String {
    let digest = site.digest(1).to_string();
    let mut document = json!({
        "name": format!("Image {identifier}"), "disk_format": "raw", "container_format": "bare", "tags": ["vmcatcher"],
        "vmcatcher_event_dc_identifier": identifier, "vmcatcher_event_sl_checksum_sha512": digest,
        "vmcatcher_operator": site.settings.claim.to_string(), "vmcatcher_role": "current",
        "vmcatcher_remembered": "{}", "data": String::from_utf8(site.bytes(1)).unwrap(),
    });
    document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    servers.client(cloud, "create", &document).as_str().unwrap_or_else(|| panic!("{document}")).to_owned()
}

#[tokio::test]
#[ignore = "needs the servers that tests/openstack/get installs"]
async fn an_image_of_a_tenant_is_never_ours() {
    let servers = RealOpenStack::shared().await;
    let mut site = Site::new(servers, "tenants");
    let identifier = "tenants-image";
    let forged = ["community", "shared", "public"].map(|visibility| {
        let cloud = if visibility == "public" { "admin" } else { "ops-user" };
        let id = forge(servers, cloud, &site, identifier, &json!({"visibility": visibility}));
        if visibility == "shared" {
            let project = &servers.projects["publisher"];
            servers.client(cloud, "share", &json!({"id": id, "project": project}));
            let accepted = json!({"id": id, "project": project, "status": "accepted"});
            servers.client("vmcatcher", "answer_share", &accepted);
        }
        id
    });
    let shown = || servers.client("admin", "show_all", &json!({"ids": forged}));
    let before = shown();
    let statuses: Vec<&Value> = before.as_array().unwrap().iter().map(|image| &image["status"]).collect();
    assert_eq!(statuses, ["active"; 3]);

    let first = site.published(Want(identifier, Some(1))).await;
    assert_eq!(site.take_done("upload"), 1, "its own upload, although the same bytes are there");
    let second = site.published(Want(identifier, Some(2))).await;
    // Without its records it knows its own images by their properties.
    site.lose_records();
    assert_eq!(site.published(Want(identifier, Some(2))).await, second);
    assert_eq!(site.published(Want(identifier, Some(1))).await, first);
    for id in &forged {
        // A person names it for adoption, and the target allows that.
        site.adopt = Some(id.parse().unwrap());
        site.settings.adopt.images.insert(id.parse().unwrap());
        site.restart();
        let outcome = site.converge(&[Want(identifier, Some(1))]).await.remove(0);
        assert_eq!(outcome.verdict, Verdict::Published { id: first });
        assert!(outcome.notes.iter().any(|note| note.contains(id) && note.contains("not adopted")), "{outcome:#?}");
    }
    site.adopt = None;
    let outcome = site.converge(&[Want(identifier, None)]).await.remove(0);
    assert_eq!((outcome.verdict, outcome.retired), (Verdict::Retired, 2));
    assert_eq!(shown(), before);
    let images = overview(servers, "vmcatcher");
    let own = |image: &&Value| property(image, "vmcatcher_event_dc_identifier") == identifier;
    assert_eq!(images.values().filter(own).count(), 2);
}

#[tokio::test]
#[ignore = "needs the servers that tests/openstack/get installs"]
async fn an_image_of_another_operator_of_the_project_is_left_alone() {
    let servers = RealOpenStack::shared().await;
    let mut site = Site::new(servers, "tenants");
    let identifier = "tenants-rival";
    let id = forge(servers, "publisher", &site, identifier, &json!({"vmcatcher_operator": "another/default"}));
    let before = servers.client("vmcatcher", "show", &json!({"id": id}));
    let outcome = site.pass(&[Want(identifier, Some(1))]).await.unwrap().outcomes.remove(0);
    let (reason, message) = waiting(&outcome);
    assert_eq!(reason, "NameConflict");
    assert!(message.contains(&id) && message.contains("another/default"), "{message}");
    let outcome = site.converge(&[Want(identifier, None)]).await.remove(0);
    assert_eq!((outcome.verdict, site.done.len()), (Verdict::Retired, 0));
    assert_eq!(servers.client("vmcatcher", "show", &json!({"id": id})), before);

    // The same properties without the operator's tag prove nothing either: it is a stranger, and ours is made beside it.
    let changes = json!([
        {"op": "replace", "path": "/tags", "value": []},
        {"op": "replace", "path": "/vmcatcher_operator", "value": site.settings.claim.to_string()},
    ]);
    servers.client("publisher", "patch", &json!({"id": id, "changes": changes}));
    let before = servers.client("vmcatcher", "show", &json!({"id": id}));
    let own = site.published(Want(identifier, Some(1))).await;
    assert_ne!(own.to_string(), id);
    assert_eq!(servers.client("vmcatcher", "show", &json!({"id": id})), before);
    let images = overview(servers, "vmcatcher");
    assert_eq!(of_role(&images, identifier, "current").len(), 2, "theirs says so too");
}
