//! What happened between two recorded exchanges, and what cannot be compared.

use harness::openstack::{Answer, Limits, Request, World};
use serde_json::Value;
use uuid::Uuid;

/// 2026-11-29T05:48:20Z, when the recordings begin.
const BEGINNING: i64 = 1_795_931_300;

/// The image of most recordings.
const SHORT: &str = "13bb6e47-a607-4454-a076-7b28bc4ece41";
const DELETED_WHILE_SAVING: &str = "2f465938-8d3e-48f3-8454-85c3c7c79a51";
const WEB: [&str; 2] = ["76d2bded-b9eb-47c9-8fdc-a845226b7451", "951b6544-9af5-4dc6-be4d-462523603943"];

/// How the recorded servers were set up.
pub(super) fn setting(world: &mut World) {
    world.clock = BEGINNING;
    world.import_ports = vec![80, 443, 18099];
}

/// What happened before an exchange.
pub(super) fn before(world: &mut World, name: &str) {
    let id = |text: &str| text.parse::<Uuid>().unwrap();
    match name {
        // An upload over another connection had begun, and was cut off later.
        "upload_second_while_saving" => "saving".clone_into(&mut world.image(id(SHORT)).status),
        // What was changed meanwhile is lost: Glance saves the image as it was when the upload began.
        "show_after_cut" => {
            "queued".clone_into(&mut world.image(id(SHORT)).status);
            world.image(id(SHORT)).properties.remove("a");
        }
        "delete_while_saving" => "saving".clone_into(&mut world.image(id(DELETED_WHILE_SAVING)).status),
        // Two imports had ended.
        "info_usage_after" => WEB.iter().for_each(|image| world.fill(id(image), &super::pattern(300_000))),
        // An administrator changed the limits.
        "create_over_count" => world.limits.count_total = 1,
        "create_for_quota" | "delete" => world.limits = Limits::default(),
        "upload_over_size" => world.limits.size_total = 0,
        "upload_over_uploading" => world.limits = Limits { count_uploading: 0, ..Limits::default() },
        _ => {}
    }
}

/// The ids and tokens that the recorded servers chose.
pub(super) fn announce(world: &mut World, request: &Request, response: &Answer) {
    let token = response.headers.iter().find(|(name, _)| name == "x-subject-token");
    if let (201, Some((_, token))) = (response.status, token) {
        world.coming_tokens.push_back(token.clone());
    }
    let is_creation = request.method == "POST" && request.target == "/v2/images" && response.status == 201;
    if is_creation && serde_json::from_slice::<Value>(&request.body).unwrap()["id"].is_null() {
        let created: Value = serde_json::from_slice(&response.body).unwrap();
        world.coming_ids.push_back(created["id"].as_str().unwrap().parse().unwrap());
    }
}

/// Why an exchange is not compared.
pub(super) fn left_out(name: &str) -> Option<&'static str> {
    match name {
        "schema_image" => Some("no client reads the schema; the stand-in has its name only"),
        _ => None,
    }
}
