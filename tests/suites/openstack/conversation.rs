//! A conversation that the stand-in and the real servers both have.

use std::collections::BTreeMap;

use harness::image_server::{ImageServer, Resource};
use harness::openstack::Answer;
use harness::patience;
use reqwest::RequestBuilder;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::telling::telling;

/// Who answers.
pub(super) struct Cloud {
    pub(super) auth_url: String,
    pub(super) image_url: String,
    /// Ids by name.
    pub(super) projects: BTreeMap<String, String>,
    pub(super) password: String,
}

/// A cloud, and one that talks with it.
pub(super) struct Speaker<'a> {
    cloud: &'a Cloud,
    http: reqwest::Client,
    tokens: BTreeMap<&'static str, String>,
    /// What was asked, and what the answers said.
    said: Vec<(String, Value)>,
}

const OURS: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const QCOW: &str = "aaaaaaaa-0000-4000-8000-000000000002";
const FETCHED: &str = "aaaaaaaa-0000-4000-8000-000000000003";
const CHANGED: &str = "aaaaaaaa-0000-4000-8000-000000000004";
const NONE: &str = "aaaaaaaa-0000-4000-8000-00000000000f";
const JSON: &str = "application/json";
const BYTES: &str = "application/octet-stream";
const PATCH: &str = "application/openstack-images-v2.1-json-patch";

impl<'a> Speaker<'a> {
    pub(super) async fn new(cloud: &'a Cloud) -> Self {
        let http = reqwest::Client::new();
        let mut speaker = Self { cloud, http, tokens: BTreeMap::new(), said: Vec::new() };
        for (user, project) in [("publisher", "publisher"), ("ops-user", "ops"), ("reader", "publisher")] {
            let token = speaker.login(user, project).await;
            speaker.tokens.insert(user, token);
        }
        speaker
    }

    async fn login(&self, user: &str, project: &str) -> String {
        let domain = json!({"name": "egi"});
        let user = json!({"name": user, "domain": domain, "password": self.cloud.password});
        let identity = json!({"methods": ["password"], "password": {"user": user}});
        let scope = json!({"project": {"id": self.cloud.projects[project]}});
        let body = json!({"auth": {"identity": identity, "scope": scope}});
        let request = self.http.post(format!("{}/auth/tokens", self.cloud.auth_url));
        let answer = request.header("content-type", JSON).body(body.to_string()).send().await.unwrap();
        answer.headers()["x-subject-token"].to_str().unwrap().to_owned()
    }

    fn request(
        &self,
        who: &str,
        call: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> RequestBuilder {
        let (method, path) = call.split_once(' ').unwrap();
        let request = self.http.request(method.parse().unwrap(), format!("{}{path}", self.cloud.image_url));
        let request = request.header("x-auth-token", &self.tokens[who]).body(body);
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
    }

    /// Sends a request to Glance.
    async fn send(&self, who: &str, call: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let request = self.request(who, call, headers, body);
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), pairs(answer.headers()));
        Answer { status, headers, body: answer.bytes().await.unwrap().to_vec() }
    }

    /// Asks, and keeps what the answer says.
    async fn ask(&mut self, who: &str, call: &str, kind: &str, body: impl Into<Vec<u8>>) {
        self.ask_with(who, call, &[("accept", JSON), ("content-type", kind)], body.into()).await;
    }

    async fn ask_with(&mut self, who: &str, call: &str, headers: &[(&str, &str)], body: Vec<u8>) {
        let text = String::from_utf8_lossy(&body).into_owned();
        let answer = self.send(who, call, headers, body).await;
        let said = self.without_names(&telling(&answer).to_string());
        let asked = self.without_names(&format!("{who} {call} {headers:?} {text}"));
        self.said.push((asked, serde_json::from_str(&said).unwrap()));
    }

    /// With names instead of ids and addresses.
    fn without_names(&self, text: &str) -> String {
        let keystone = self.cloud.auth_url.trim_end_matches("/v3");
        let text = text.replace(keystone, "KEYSTONE").replace(&self.cloud.image_url, "GLANCE");
        self.cloud.projects.iter().fold(text, |text, (name, id)| text.replace(id, name))
    }

    async fn change(&mut self, who: &str, id: &str, changes: Value) {
        self.ask(who, &format!("PATCH /v2/images/{id}"), PATCH, changes.to_string()).await;
    }

    async fn show(&mut self, id: &str) {
        self.ask("publisher", &format!("GET /v2/images/{id}"), JSON, "").await;
    }
}

fn pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
}

/// What a cloud says in all of it.
pub(super) async fn converse(cloud: &Cloud) -> Vec<(String, Value)> {
    let mut speaker = Speaker::new(cloud).await;
    refusals(&mut speaker).await;
    bytes(&mut speaker).await;
    changes_meanwhile(&mut speaker).await;
    members(&mut speaker).await;
    lists(&mut speaker).await;
    imports(&mut speaker).await;
    ends(&mut speaker).await;
    speaker.said
}

async fn refusals(speaker: &mut Speaker<'_>) {
    let image =
        json!({"id": OURS, "name": "ours", "disk_format": "raw", "container_format": "bare", "tags": ["a", "b"]});
    for who in ["reader", "publisher", "publisher"] {
        speaker.ask(who, "POST /v2/images", JSON, image.to_string()).await;
    }
    for accept in ["*/*", "text/plain", "application/json"] {
        speaker.ask_with("publisher", &format!("GET /v2/images/{NONE}"), &[("accept", accept)], Vec::new()).await;
        let call = format!("PATCH /v2/images/{OURS}");
        let body = json!([{"op": "replace", "path": "/status", "value": "active"}]);
        let headers = [("accept", accept), ("content-type", PATCH)];
        speaker.ask_with("publisher", &call, &headers, body.to_string().into_bytes()).await;
    }
    for change in [
        json!({"op": "add", "path": "/vmcatcher~1slash", "value": "v"}),
        json!({"op": "replace", "path": "/nothing", "value": "v"}),
        json!({"op": "remove", "path": "/name"}),
        json!({"op": "add", "path": "/os_glance_x", "value": "v"}),
        json!({"op": "replace", "path": "/visibility", "value": "public"}),
        json!({"op": "replace", "path": "/protected", "value": "yes"}),
        json!({"op": "test", "path": "/x", "value": "v"}),
        json!({"path": "/x", "value": "v"}),
        json!({"op": "add", "path": "x", "value": "v"}),
    ] {
        speaker.change("publisher", OURS, json!([change])).await;
    }
}

async fn bytes(speaker: &mut Speaker<'_>) {
    let image = json!({"id": QCOW, "name": "qcow", "disk_format": "qcow2", "container_format": "bare"});
    speaker.ask("publisher", "POST /v2/images", JSON, image.to_string()).await;
    speaker.ask("publisher", &format!("PUT /v2/images/{QCOW}/file"), BYTES, "no qcow2").await;
    speaker.show(QCOW).await;
    let call = format!("PUT /v2/images/{OURS}/file");
    let headers = [("accept", JSON), ("content-type", BYTES), ("x-openstack-image-size", "9")];
    speaker.ask_with("publisher", &call, &headers, b"five!".to_vec()).await;
    speaker.show(OURS).await;
    speaker.ask("publisher", &call, BYTES, "five!").await;
    speaker.show(OURS).await;
    speaker.ask("publisher", &call, BYTES, "five!").await;
    speaker.ask("publisher", &format!("GET /v2/images/{OURS}/file"), JSON, "").await;
    for action in ["deactivate", "reactivate"] {
        speaker.ask("publisher", &format!("POST /v2/images/{OURS}/actions/{action}"), JSON, "").await;
        speaker.ask("publisher", &format!("GET /v2/images/{OURS}/file"), JSON, "").await;
        speaker.show(OURS).await;
    }
}

/// What is changed while bytes are on their way is lost when they are there.
async fn changes_meanwhile(speaker: &mut Speaker<'_>) {
    let image = json!({"id": CHANGED, "name": "changed", "disk_format": "raw", "container_format": "bare"});
    speaker.ask("publisher", "POST /v2/images", JSON, image.to_string()).await;
    let (sender, body) = futures::channel::mpsc::unbounded::<Result<Vec<u8>, std::io::Error>>();
    let body = reqwest::Body::wrap_stream(body);
    let call = format!("PUT /v2/images/{CHANGED}/file");
    let upload = speaker.request("publisher", &call, &[("content-type", BYTES), ("content-length", "200000")], body);
    let upload = tokio::spawn(upload.send());
    sender.unbounded_send(Ok(vec![0; 100_000])).unwrap();
    let shown = format!("GET /v2/images/{CHANGED}");
    patience::until("a saving image", async || {
        let answer = speaker.send("publisher", &shown, &[], Vec::new()).await;
        serde_json::from_slice::<Value>(&answer.body).unwrap()["status"] == "saving"
    })
    .await;
    let changes = json!([
        {"op": "add", "path": "/property", "value": "v"}, {"op": "replace", "path": "/name", "value": "renamed"},
        {"op": "replace", "path": "/visibility", "value": "private"}, {"op": "replace", "path": "/os_hidden", "value": true},
        {"op": "replace", "path": "/tags", "value": ["a"]}, {"op": "replace", "path": "/min_disk", "value": 1},
    ]);
    speaker.change("publisher", CHANGED, changes).await;
    sender.unbounded_send(Ok(vec![0; 100_000])).unwrap();
    drop(sender);
    assert_eq!(upload.await.unwrap().unwrap().status(), 204);
    speaker.show(CHANGED).await;
}

async fn members(speaker: &mut Speaker<'_>) {
    let ops = speaker.cloud.projects["ops"].clone();
    let own = format!("/v2/images/{OURS}/members");
    let member = json!({"member": ops}).to_string();
    for visibility in ["shared", "private", "community", "shared"] {
        speaker.change("publisher", OURS, json!([{"op": "replace", "path": "/visibility", "value": visibility}])).await;
        speaker.ask("publisher", &format!("POST {own}"), JSON, member.clone()).await;
        speaker.ask("publisher", &format!("GET {own}"), JSON, "").await;
        if visibility != "shared" {
            speaker.ask("publisher", &format!("GET {own}/{ops}"), JSON, "").await;
            speaker.ask("ops-user", &format!("PUT {own}/{ops}"), JSON, r#"{"status": "accepted"}"#).await;
            speaker.ask("publisher", &format!("DELETE {own}/{ops}"), JSON, "").await;
        }
    }
    for who in ["publisher", "ops-user"] {
        speaker.ask(who, &format!("PUT {own}/{ops}"), JSON, r#"{"status": "accepted"}"#).await;
    }
    speaker.ask("ops-user", "GET /v2/images?visibility=shared", JSON, "").await;
    speaker.change("ops-user", OURS, json!([{"op": "add", "path": "/x", "value": "v"}])).await;
    speaker.ask("ops-user", &format!("DELETE /v2/images/{OURS}"), JSON, "").await;
}

async fn lists(speaker: &mut Speaker<'_>) {
    speaker.change("publisher", QCOW, json!([{"op": "add", "path": "/tags", "value": ["a", "c"]}])).await;
    let page = format!("limit=1&sort_key=id&sort_dir=asc&tag=a&marker={OURS}");
    for query in [
        "tag=a&tag=b",
        "tag=a&sort=name:asc",
        "limit=1&sort_key=id&sort_dir=asc&tag=a",
        &page,
        "limit=x",
        "limit=-1",
        "sort=name:up",
        "sort=nothing",
        "os_hidden=maybe",
        "visibility=world",
        "member_status=nothing",
        "status=in:active,killed",
        "name=in:qcow,%22ours%22&sort=id:desc",
        "os_hidden=true",
        "protected=true",
        "size_min=5",
        "size_max=5",
    ] {
        speaker.ask("publisher", &format!("GET /v2/images?{query}"), JSON, "").await;
    }
    for hidden in [true, false] {
        speaker.change("publisher", OURS, json!([{"op": "replace", "path": "/os_hidden", "value": hidden}])).await;
        speaker.ask("publisher", "GET /v2/images?os_hidden=true", JSON, "").await;
    }
}

async fn imports(speaker: &mut Speaker<'_>) {
    let server = ImageServer::start();
    server.put("/there", Resource::bytes(*b"bytes"));
    let image = json!({"id": FETCHED, "name": "fetched", "disk_format": "raw", "container_format": "bare"});
    speaker.ask("publisher", "POST /v2/images", JSON, image.to_string()).await;
    for path in ["/missing", "/there"] {
        let import = json!({"method": {"name": "web-download", "uri": server.url(path)}});
        let call = format!("POST /v2/images/{FETCHED}/import");
        let answer = speaker.send("publisher", &call, &[("content-type", JSON)], import.to_string().into_bytes()).await;
        assert_eq!(answer.status, 202, "{}", String::from_utf8_lossy(&answer.body));
        let tasks = format!("GET /v2/images/{FETCHED}/tasks");
        patience::until(&format!("an end of the import of {path} by {}", speaker.cloud.image_url), async || {
            let answer = speaker.send("publisher", &tasks, &[], Vec::new()).await;
            let tasks: Value = serde_json::from_slice(&answer.body).unwrap();
            tasks["tasks"]
                .as_array()
                .unwrap()
                .iter()
                .all(|task| task["status"] == "success" || task["status"] == "failure")
        })
        .await;
        let shown = format!("GET /v2/images/{FETCHED}");
        patience::until("the end of the import's lock", async || {
            let answer = speaker.send("publisher", &shown, &[], Vec::new()).await;
            !String::from_utf8_lossy(&answer.body).contains("os_glance_import_task")
        })
        .await;
        speaker.show(FETCHED).await;
    }
}

async fn ends(speaker: &mut Speaker<'_>) {
    let call = format!("DELETE /v2/images/{OURS}");
    for protected in [true, false] {
        speaker.change("publisher", OURS, json!([{"op": "replace", "path": "/protected", "value": protected}])).await;
        speaker.ask("publisher", &call, JSON, "").await;
    }
    speaker.ask("publisher", &call, JSON, "").await;
    speaker.show(OURS).await;
    speaker.ask("publisher", "POST /v2/images", JSON, json!({"id": OURS}).to_string()).await;
}
