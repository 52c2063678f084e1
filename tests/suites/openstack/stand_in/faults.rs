//! Faults, and what goes on at the same time: the stand-in does what it is told to, over its sockets.

use std::time::Duration;

use harness::openstack::{Answer, Fault, Image, OPS, OpenStack, PASSWORD, PUBLISHER, VMCATCHER};
use harness::patience;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use uuid::Uuid;

/// A client that is logged in.
struct Site {
    cloud: OpenStack,
    http: Client,
    token: String,
}

impl Site {
    async fn new() -> Self {
        let cloud = OpenStack::start();
        let http = Client::new();
        let credential = json!({"id": VMCATCHER, "secret": PASSWORD});
        let identity = json!({"methods": ["application_credential"], "application_credential": credential});
        let login = http.post(format!("{}/auth/tokens", cloud.auth_url()));
        let answer = login.body(json!({"auth": {"identity": identity}}).to_string()).send().await.unwrap();
        let token = answer.headers()["x-subject-token"].to_str().unwrap().to_owned();
        cloud.take_calls();
        Self { cloud, http, token }
    }

    fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.cloud.image_url())).header("x-auth-token", &self.token)
    }

    fn tag(&self, id: Uuid, tag: &str) -> RequestBuilder {
        self.call(Method::PUT, &format!("/v2/images/{id}/tags/{tag}"))
    }

    fn upload(&self, id: Uuid, body: impl Into<reqwest::Body>) -> RequestBuilder {
        let call = self.call(Method::PUT, &format!("/v2/images/{id}/file"));
        call.header("content-type", "application/octet-stream").body(body)
    }

    fn queued(&self) -> Uuid {
        self.cloud.world(|world| {
            let id = world.put("an image", PUBLISHER);
            let (owner, time) = (PUBLISHER, world.clock);
            let formats = (Some("raw".to_owned()), Some("bare".to_owned()));
            let image = Image { disk_format: formats.0, container_format: formats.1, ..Image::new(id, owner, time) };
            *world.image(id) = image;
            id
        })
    }

    fn status(&self, id: Uuid) -> String {
        self.cloud.world(|world| world.image(id).status.clone())
    }
}

/// What a client gets: the status, or nothing that it could read.
async fn outcome(sent: Result<Response, reqwest::Error>) -> Option<u16> {
    let answer = sent.ok()?;
    let status = answer.status().as_u16();
    answer.bytes().await.ok().map(|_| status)
}

#[tokio::test]
async fn a_fault_is_of_one_call_and_says_whether_it_was_done() {
    let site = Site::new().await;
    let id = site.cloud.world(|world| world.put("an image", PUBLISHER));
    let gateway = || Answer::refuse(504, "The gateway lost its patience.");
    for (number, (fault, expected, is_done)) in [
        (Fault::Drop, None, false),
        (Fault::Cut(0), None, false),
        (Fault::LoseAnswer, None, true),
        (Fault::HalfAnswer, None, true),
        (Fault::Hang, None, true),
        (Fault::Stall(0), None, false),
        (Fault::Refuse(gateway()), Some(504), false),
        (Fault::DoneBut(gateway()), Some(504), true),
        (Fault::Garbage("<html>".to_owned()), Some(200), true),
    ]
    .into_iter()
    .enumerate()
    {
        let tag = format!("tag-{number}");
        site.cloud.fail(1, fault.clone());
        assert_eq!(outcome(site.tag(id, "before").send().await).await, Some(204), "{fault:?} is of the second call");
        let sent = site.tag(id, &tag).timeout(Duration::from_secs(2)).send().await;
        assert_eq!(outcome(sent).await, expected, "{fault:?}");
        assert_eq!(site.cloud.world(|world| world.image(id).tags.contains(&tag)), is_done, "{fault:?}");
        site.cloud.recover();
    }
}

#[tokio::test]
async fn a_dead_cloud_answers_no_call_until_it_recovers() {
    let site = Site::new().await;
    let id = site.cloud.world(|world| world.put("an image", PUBLISHER));
    site.cloud.die_after(1);
    assert_eq!(outcome(site.tag(id, "one").send().await).await, Some(204));
    for _ in 0..2 {
        assert_eq!(outcome(site.tag(id, "two").send().await).await, None);
    }
    site.cloud.recover();
    assert_eq!(outcome(site.tag(id, "three").send().await).await, Some(204));
    let names: Vec<_> = site.cloud.take_calls().iter().map(harness::openstack::Call::name).collect();
    assert_eq!(names, ["PUT /v2/images/ID/tags/one", "PUT /v2/images/ID/tags/three"]);
}

#[tokio::test]
async fn an_upload_that_is_cut_is_queued_again_and_loses_what_was_changed_meanwhile() {
    let site = Site::new().await;
    let id = site.queued();
    let bytes = vec![7; 1 << 20];
    site.cloud.fail(0, Fault::Stall(1000));
    let stalled = tokio::spawn(site.upload(id, bytes.clone()).send());
    patience::until("a saving image", async || site.status(id) == "saving").await;
    assert_eq!(outcome(site.upload(id, "x").send().await).await, Some(409));
    assert_eq!(outcome(site.tag(id, "meanwhile").send().await).await, Some(204));
    site.cloud.recover();
    assert_eq!(outcome(stalled.await.unwrap()).await, None);
    assert_eq!(site.cloud.world(|world| world.image(id).clone().tags.len()), 0);
    site.cloud.fail(0, Fault::Cut(1000));
    assert_eq!(outcome(site.upload(id, bytes.clone()).send().await).await, None);
    patience::until("a queued image", async || site.status(id) == "queued").await;
    assert_eq!(outcome(site.upload(id, bytes.clone()).send().await).await, Some(204));
    let image = site.cloud.world(|world| world.image(id).clone());
    assert_eq!((image.status.as_str(), image.size, image.data.unwrap().to_vec()), ("active", Some(1 << 20), bytes));
    assert_eq!(image.os_hash_value.unwrap().len(), 128);
}

#[tokio::test]
async fn a_world_that_is_restored_knows_nothing_of_an_upload_that_goes_on() {
    let site = Site::new().await;
    let id = site.queued();
    let then = site.cloud.world(|world| world.clone());
    let (sender, body) = futures::channel::mpsc::unbounded::<Result<Vec<u8>, std::io::Error>>();
    let upload = tokio::spawn(site.upload(id, reqwest::Body::wrap_stream(body)).send());
    sender.unbounded_send(Ok(b"first".to_vec())).unwrap();
    patience::until("a saving image", async || site.status(id) == "saving").await;
    site.cloud.world(|world| world.restore(&then));
    assert_eq!(site.status(id), "queued");
    drop(sender);
    assert_eq!(outcome(upload.await.unwrap()).await, Some(410));
    assert_eq!(site.status(id), "queued");
    assert_eq!(outcome(site.upload(id, "bytes").send().await).await, Some(204), "the token is still valid");
}

#[tokio::test]
async fn an_upload_into_an_image_that_is_deleted_meanwhile_is_gone() {
    let site = Site::new().await;
    let id = site.queued();
    let (sender, body) = futures::channel::mpsc::unbounded::<Result<Vec<u8>, std::io::Error>>();
    let upload = tokio::spawn(site.upload(id, reqwest::Body::wrap_stream(body)).send());
    sender.unbounded_send(Ok(b"first".to_vec())).unwrap();
    patience::until("a saving image", async || site.status(id) == "saving").await;
    let deleted = site.call(Method::DELETE, &format!("/v2/images/{id}")).send().await;
    assert_eq!(outcome(deleted).await, Some(204));
    drop(sender);
    assert_eq!(outcome(upload.await.unwrap()).await, Some(410));
    assert!(site.cloud.world(|world| world.images.is_empty()));
}

#[tokio::test]
async fn tokens_end_images_in_use_stay_and_every_call_is_watched() {
    let site = Site::new().await;
    let id = site.cloud.world(|world| world.put("an image", PUBLISHER));
    site.cloud.watch(|call, world| Some(format!("{} {} {}", call.name(), call.status, world.images.len())));
    let delete = || site.call(Method::DELETE, &format!("/v2/images/{id}")).send();
    site.cloud.world(|world| world.image(id).in_use = true);
    assert_eq!(outcome(delete().await).await, Some(409));
    site.cloud.world(|world| world.image(id).in_use = false);
    site.cloud.world(|world| world.advance(3600));
    assert_eq!(outcome(delete().await).await, Some(401));
    site.cloud.world(|world| world.advance(-1));
    assert_eq!(outcome(delete().await).await, Some(204));
    let seen = ["DELETE /v2/images/ID 409 1", "DELETE /v2/images/ID 401 1", "DELETE /v2/images/ID 204 0"];
    assert_eq!(site.cloud.seen(), seen);
}

#[tokio::test]
async fn pages_follow_each_other_and_foreign_images_are_seen_as_their_visibility_says() {
    let site = Site::new().await;
    site.cloud.world(|world| {
        world.page_size = 2;
        for number in 0..5 {
            world.put(&format!("ours {number}"), PUBLISHER);
        }
        for visibility in ["private", "shared", "community", "public"] {
            let id = world.put(visibility, OPS);
            visibility.clone_into(&mut world.image(id).visibility);
        }
    });
    let (mut next, mut names, mut calls) = (Some("/v2/images?sort=name:asc".to_owned()), Vec::new(), 0);
    while let Some(path) = next {
        let page: Value =
            serde_json::from_str(&site.call(Method::GET, &path).send().await.unwrap().text().await.unwrap()).unwrap();
        names.extend(page["images"].as_array().unwrap().iter().map(|image| image["name"].as_str().unwrap().to_owned()));
        next = page["next"].as_str().map(str::to_owned);
        calls += 1;
    }
    assert_eq!(names, ["ours 0", "ours 1", "ours 2", "ours 3", "ours 4", "public"]);
    assert_eq!(calls, 4, "a full page is followed by an empty one");
}
