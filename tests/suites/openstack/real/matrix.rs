//! Every combination of what a site controls is carried over on real Glance, as openstacksdk reads it.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, stream};
use harness::openstack::RealOpenStack;
use serde_json::{Value as Json, json};
use uuid::Uuid;
use vmcatcher_operator::openstack::carry_over::{TAG, Verdict};
use vmcatcher_operator::openstack::glance::{Change, Value};
use vmcatcher_operator::openstack::{Client, MemberStatus};

use super::site::{Site, Want, administrator, client, of_role, overview, person, property};

/// What a site did with one image.
#[derive(Debug, Clone, Copy)]
struct Case {
    visibility: &'static str,
    protected: bool,
    hidden: bool,
    deactivated: bool,
    /// Whether the project dteam is a member, and whether it accepted the image.
    member: Option<bool>,
    tagged: bool,
    properties: bool,
}

/// All that are possible: only a shared image has members. Half of the tagged ones have properties, and half of the others.
fn cases(visibilities: &[&'static str]) -> Vec<Case> {
    let mut cases = Vec::new();
    for visibility in visibilities {
        let members = if *visibility == "shared" { &[None, Some(false), Some(true)][..] } else { &[None] };
        for member in members {
            for bits in 0..16_u8 {
                let bit = |number: u8| bits & (1 << number) != 0;
                cases.push(Case {
                    visibility,
                    protected: bit(0),
                    hidden: bit(1),
                    deactivated: bit(2),
                    member: *member,
                    tagged: bit(3),
                    properties: bit(3) ^ bit(0),
                });
            }
        }
    }
    cases
}

impl Case {
    fn identifier(&self, operator: &str) -> String {
        let bits = [self.protected, self.hidden, self.deactivated, self.tagged, self.properties].map(u8::from);
        let member = self.member.map_or("none", |accepted| if accepted { "accepted" } else { "pending" });
        format!("{operator}-{}-{member}-{bits:?}", self.visibility).replace([' ', ',', '[', ']'], "")
    }

    fn tags(&self) -> BTreeSet<String> {
        let own: &[&str] = if self.tagged { &["of the site", "ünïcode"] } else { &[] };
        own.iter().map(|tag| (*tag).to_owned()).collect()
    }

    fn properties(&self) -> BTreeMap<&'static str, &'static str> {
        let own: &[_] = if self.properties {
            &[("hw_disk_bus", "scsi"), ("site:key/with~signs", "two\nlines"), ("empty", "")]
        } else {
            &[]
        };
        own.iter().copied().collect()
    }

    fn changes(&self, identifier: &str) -> Vec<Change> {
        let replace = |name: &str, value: Value| Change::Replace { name: name.to_owned(), value };
        let tags = self.tags().into_iter().chain([TAG.to_owned()]).collect();
        let mut changes = vec![
            replace("name", Value::Text(format!("the site's {identifier}"))),
            replace("visibility", Value::Text(self.visibility.to_owned())),
            replace("protected", Value::Bool(self.protected)),
            replace("os_hidden", Value::Bool(self.hidden)),
            replace("tags", Value::Tags(tags)),
        ];
        let add =
            |(name, value): (&str, &str)| Change::Add { name: name.to_owned(), value: Value::Text(value.to_owned()) };
        changes.extend(self.properties().into_iter().map(add));
        changes
    }
}

/// The clients of a site, and of the project dteam.
struct People<'a> {
    site: &'a Client,
    dteam: &'a Client,
    /// The id of the project dteam.
    project: &'a str,
}

impl People<'_> {
    /// What people do with an image.
    async fn change(&self, case: Case, identifier: &str, id: Uuid) {
        self.site.patch(id, &case.changes(identifier)).await.unwrap();
        if let Some(accepted) = case.member {
            self.site.add_member(id, self.project).await.unwrap();
            if accepted {
                self.dteam.set_member_status(id, self.project, MemberStatus::Accepted).await.unwrap();
            }
        }
        if case.deactivated {
            self.site.deactivate(id).await.unwrap();
        }
    }
}

/// What openstacksdk reads of an image that is as the site wants it.
fn expected(case: Case, identifier: &str, members: &Json) -> Json {
    let tags: BTreeSet<_> = case.tags().into_iter().chain([TAG.to_owned()]).collect();
    json!({
        "name": format!("the site's {identifier}"), "visibility": case.visibility, "protected": case.protected,
        "hidden": case.hidden, "status": if case.deactivated { "deactivated" } else { "active" }, "tags": tags,
        "members": members, "site": case.properties(),
    })
}

fn read(case: Case, image: &Json) -> Json {
    let mut tags: Vec<&str> = image["tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap()).collect();
    tags.sort_unstable();
    let all = Case { properties: true, ..case }.properties();
    let has = |name: &str| image["properties"].get(name).or_else(|| image.get(name)).is_some_and(Json::is_string);
    let site: BTreeMap<_, _> = all.keys().filter(|name| has(name)).map(|name| (*name, property(image, name))).collect();
    json!({
        "name": image["name"], "visibility": image["visibility"], "protected": image["is_protected"],
        "hidden": image["is_hidden"], "status": image["status"], "tags": tags, "members": image["members"],
        "site": site,
    })
}

/// The old version, out of circulation. A site's protection stays, unless the new one has it in its place.
fn assert_retired(case: Case, old: &Json, identifier: &str) {
    let name = old["name"].as_str().unwrap();
    assert!(name.starts_with(&format!("the site's {identifier}_")), "{identifier}: {name}");
    let found = [&old["visibility"], &old["is_hidden"], &old["is_protected"], &old["status"]];
    let expected = [json!("private"), json!(true), json!(false), json!("deactivated")];
    assert_eq!(found, expected.each_ref(), "{case:?}");
    let tags = old["tags"].as_array().unwrap();
    assert!(tags.contains(&json!("vmcatcher-retired")), "{case:?}: {tags:?}");
    assert_eq!(tags.len(), case.tags().len() + 2, "{case:?}: {tags:?}");
}

/// Publishes all cases, lets people change them, and updates them. `accepts` says whether the operator can accept for
/// others.
async fn carry_over(servers: &RealOpenStack, site: &mut Site, cloud: &str, cases: &[Case], accepts: bool) {
    let identifiers: Vec<String> = cases.iter().map(|case| case.identifier(cloud)).collect();
    let wants = |version| identifiers.iter().map(move |identifier| Want(identifier, Some(version))).collect::<Vec<_>>();
    let first = site.converge(&wants(1)).await;
    let dteam = client(&servers.auth_url, person(servers, "dteam-user", "dteam", "egi"));
    let project = servers.projects["dteam"].as_str();
    let people = People { site: &site.client.clone(), dteam: &dteam, project };
    let ids = first.iter().map(|outcome| match &outcome.verdict {
        Verdict::Published { id } => *id,
        Verdict::Retired | Verdict::Waiting { .. } => panic!("{outcome:#?}"),
    });
    let done = stream::iter(cases.iter().zip(&identifiers).zip(ids))
        .map(|((case, identifier), id)| people.change(*case, identifier, id));
    done.buffer_unordered(4).collect::<Vec<()>>().await;
    site.done.clear();
    site.notes.clear();
    site.converge(&wants(2)).await;
    assert_eq!(site.take_done("upload"), cases.len(), "one upload each");
    let unaccepted = if accepts { 0 } else { cases.iter().filter(|case| case.member == Some(true)).count() };
    let told = site.notes.iter().filter(|note| note.contains(project) && note.contains("must accept"));
    assert_eq!(told.count(), unaccepted, "{:?}", site.notes);
    let images = overview(servers, cloud);
    for (case, identifier) in cases.iter().zip(&identifiers) {
        let current = of_role(&images, identifier, "current");
        let retired = of_role(&images, identifier, "retired");
        assert_eq!((current.len(), retired.len()), (1, 1), "{case:?}");
        let status = |accepted: bool| if accepted && accepts { "accepted" } else { "pending" };
        let members = case.member.map_or(json!({}), |accepted| json!({project: status(accepted)}));
        assert_eq!(read(*case, current[0]), expected(*case, identifier, &members), "{case:?}");
        assert_eq!(current[0]["hash_value"], site.digest(2).to_string(), "{case:?}");
        assert_retired(*case, retired[0], identifier);
    }
}

#[tokio::test]
#[ignore = "needs the servers that tests/openstack/get installs"]
async fn an_administrator_carries_over_every_combination() {
    let servers = RealOpenStack::shared().await;
    let mut site = Site::of(client(&servers.auth_url, administrator(servers)), "matrix");
    let cases = cases(&["private", "shared", "community", "public"]);
    assert_eq!(cases.len(), 96);
    carry_over(servers, &mut site, "admin", &cases, true).await;
}

/// All that differs for a member of the project: who may accept, and what the policy allows.
#[tokio::test]
#[ignore = "needs the servers that tests/openstack/get installs"]
async fn a_member_carries_over_what_it_may() {
    let servers = RealOpenStack::shared().await;
    let mut site = Site::new(servers, "matrix");
    let all = cases(&["private", "shared", "community"]);
    let some = all.into_iter().filter(|case| case.tagged == case.hidden).collect::<Vec<_>>();
    assert_eq!(some.len(), 5 * 8);
    carry_over(servers, &mut site, "vmcatcher", &some, false).await;
}
