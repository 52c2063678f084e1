//! What programs asked of the API server, as its own audit log tells it.

use std::fs;

use serde_json::Value;

use super::ControlPlane;

/// One call of the API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedCall {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` and so on.
    pub verb: String,
    /// The API group; empty for the core one.
    pub group: String,
    /// Such as `cachedimages`.
    pub resource: String,
    /// Such as `status`.
    pub subresource: Option<String>,
    /// The namespace; none where all were asked for.
    pub namespace: Option<String>,
    /// The object; none where many were asked for.
    pub name: Option<String>,
    /// The HTTP status of the answer.
    pub code: u64,
}

impl ControlPlane {
    /// What a ServiceAccount (`system:serviceaccount:<namespace>:<name>`) has asked for so far, in order. A watch is
    /// there from its beginning.
    pub fn calls_of(&self, account: &str) -> Vec<RecordedCall> {
        let log = fs::read_to_string(self.kubeconfig().with_file_name("audit.log")).unwrap_or_default();
        // The last line may be half there.
        let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let of_account = events.filter(|event| event["user"]["username"] == account);
        // A watch is told when it begins and when it ends; a call without an object is discovery.
        let once = of_account.filter(|event| event["verb"] != "watch" || event["stage"] == "ResponseStarted");
        once.filter(|event| event["objectRef"].is_object()).map(|event| recorded(&event)).collect()
    }
}

fn recorded(event: &Value) -> RecordedCall {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let object = &event["objectRef"];
    RecordedCall {
        verb: text(&event["verb"]).unwrap_or_default(),
        group: text(&object["apiGroup"]).unwrap_or_default(),
        resource: text(&object["resource"]).unwrap_or_default(),
        subresource: text(&object["subresource"]),
        namespace: text(&object["namespace"]),
        name: text(&object["name"]),
        code: event["responseStatus"]["code"].as_u64().unwrap_or_default(),
    }
}
