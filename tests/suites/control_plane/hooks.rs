//! A handler that refuses a version holds that image and nothing else, and the sinks have every event.

use std::collections::BTreeSet;

use harness::control_plane::ControlPlane;
use harness::patience::found;
use serde_json::Value;
use vmcatcher_operator::api::{CachedImage, HasConditions, REQUESTED_AT};

use super::operator::{Operator, Tenant, ready};

const HELD: &str = "11111111-0000-4000-8000-000000000000";
const FREE: &str = "22222222-0000-4000-8000-000000000000";

fn vetoed(image: Option<&CachedImage>) -> bool {
    let cached = image.and_then(|image| image.status.as_ref()).and_then(|status| status.condition("Cached"));
    cached.is_some_and(|cached| cached.reason == "HookVetoed" && cached.message.contains("waits for a review"))
}

/// Writes a handler that refuses one image while a file is missing, and the configuration with it and a log of events.
fn configure(tenant: &Tenant<'_>) -> String {
    let path = |name: &str| tenant.site.path(name).to_str().unwrap().to_owned();
    let (hooks, reviewed) = (path("hooks"), path("reviewed"));
    std::fs::create_dir(&hooks).unwrap();
    let handler = format!(
        "[ \"$3 $4 $VMCATCHER_EVENT_DC_IDENTIFIER\" = 'Available before {HELD}' ] || exit 0\n[ -e {reviewed} ] || \
         {{ echo 'it waits for a review'; exit 1; }}"
    );
    harness::program::script(&tenant.site.path("hooks/gate"), &handler);
    let configuration = format!(
        "events:\n  sinks:\n  - {{name: gate, exec: {{directory: {hooks}}}}}\n  - {{name: log, file: {{path: {}}}}}\n",
        path("events.jsonl")
    );
    std::fs::write(tenant.site.path("configuration.yaml"), configuration).unwrap();
    path("configuration.yaml")
}

/// The events of the log, each identity once: the event and the name of its object.
fn events(tenant: &Tenant<'_>) -> Vec<(String, String)> {
    let mut known = BTreeSet::new();
    let text = std::fs::read_to_string(tenant.site.path("events.jsonl")).unwrap_or_default();
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let new = events.filter(|event| known.insert(event["id"].to_string()));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    new.map(|event| (text(&event["event"]), text(&event["object"]["name"]))).collect()
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn a_handler_holds_one_image_and_the_sinks_have_every_event() {
    let plane = ControlPlane::shared().await;
    let tenant = Tenant::new(plane, "hooks").await;
    let images = [HELD, FREE].map(|name| tenant.site.serve(name, "1", 1, 20_000));
    tenant.site.publish(&tenant.site.list("1.0", &[&images[0], &images[1]]));
    tenant.site.subscribe("");
    tenant.apply();
    let configuration = configure(&tenant);
    let arguments = Operator::arguments(&tenant.site, &tenant.namespace, &["--config", &configuration]);
    let operator = Operator::start_with(plane.kubeconfig(), &tenant.site, &arguments);

    tenant.image_until(FREE, "the other image is ready", |image| ready(image, "1")).await;
    tenant.image_until(HELD, "the image is held", vetoed).await;
    assert_eq!(tenant.shelf("endorsed").len(), 1, "{:?}", tenant.shelf("endorsed"));
    let listed = found(async || {
        let listed = tenant.kubectl(&["get", "events", "--field-selector", "reason=HookVetoed", "-o", "name"]);
        (!listed.trim().is_empty()).then_some(listed)
    });
    assert_eq!(listed.await.expect("an Event HookVetoed").lines().count(), 1);

    operator.kill();
    std::fs::write(tenant.site.path("reviewed"), "").unwrap();
    let _operator = Operator::start_with(plane.kubeconfig(), &tenant.site, &arguments);
    tenant.kubectl(&["annotate", "cimg", HELD, &format!("{REQUESTED_AT}=now")]);
    tenant.image_until(HELD, "the image is let in", |image| ready(image, "1")).await;
    let available = |events: &[(String, String)]| events.iter().filter(|(event, _)| event == "Available").count();
    let all = found(async || Some(events(&tenant)).filter(|events| available(events) == 2)).await;
    let all = all.unwrap_or_else(|| panic!("expected both images, found {:?}", events(&tenant)));
    let first =
        |event: &str, object: &str| all.iter().position(|found| *found == (event.to_owned(), object.to_owned()));
    assert!(first("HookVetoed", HELD) < first("Available", HELD), "{all:?}");
    assert!(first("ListAccepted", "vo").is_some() && first("Available", FREE).is_some(), "{all:?}");
    assert_eq!(all.iter().filter(|(event, _)| event == "SubscriptionImageNew").count(), 2, "{all:?}");
}
