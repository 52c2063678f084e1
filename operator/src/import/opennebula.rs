//! The OpenNebula in which vmcatcher's handler published images becomes a `CloudTarget`. Pure.

use serde_json::json;
use url::Url;

use super::manifest::{Imported, Manifest};
use super::outcome::{Fate, Outcome};

/// The name of the target and of its Secret.
const NAME: &str = "opennebula";

/// The program that published images in OpenNebula for vmcatcher.
const HANDLER: &str = "vmcatcher_eventHndl_ON";

/// The variable of vmcatcher with the command for its events.
const EVENT: &str = "VMCATCHER_CACHE_EVENT";

/// How an OpenNebula is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenNebulaHint {
    /// The address of its API.
    pub endpoint: Url,
    /// The content of `one_auth`.
    pub one_auth: String,
    /// The volume, as the cloud's front-end sees it.
    pub volume: String,
}

impl OpenNebulaHint {
    /// Adds the target and its Secret, and publishes the images of all subscriptions there.
    pub fn add_to(&self, imported: &mut Imported) {
        let spec = json!({
            "type": "OpenNebula",
            "openNebula": {
                "endpoint": self.endpoint.as_str(),
                "secretRef": {"name": NAME},
                "datastore": "default",
                "handOver": {"type": "Path", "path": {"prefix": self.volume}},
            },
        });
        let target = Manifest::new("CloudTarget", NAME, &spec)
            .note("Check these by hand: datastore (the handler used default), and handOver.path.prefix, the volume as")
            .note("OpenNebula's front-end sees it. The datastore's SAFE_DIRS must have that path.")
            .note(
                "Images that the handler registered and that still belong to oneadmin are adopted by themselves. Those",
            )
            .note("that were given to other users are adopted only if you name their ids here:")
            .note("  adopt: {imageIds: [4711]}")
            .note("and on the CachedImage of each: metadata.annotations vmcatcher.io/adopt: opennebula/4711")
            .note("`oneimage list` has the ids. See docs/opennebula.md, Which images are ours.");
        let secret = Manifest::secret(NAME, &json!({"one_auth": self.one_auth.trim()}));
        for manifest in [&target, &secret] {
            let fate = Fate::Manifest(manifest.name());
            imported.outcomes.push(Outcome::new("OpenNebula", self.endpoint.as_str(), fate));
        }
        imported.secrets.push(secret.note("The log-in at OpenNebula."));
        imported.targets.push(target);
        imported.publish_at(NAME);
    }
}

impl Imported {
    /// Says what takes the place of the command that vmcatcher ran for events.
    pub fn tell_event_command(&mut self, command: &str) {
        let fate = if !command.contains(HANDLER) {
            Fate::ByHand("a handler of events: docs/from-event-handlers.md says how it runs here".to_owned())
        } else if self.targets.is_empty() {
            Fate::ByHand(format!("{HANDLER} is not needed: give --opennebula, and a CloudTarget takes its place"))
        } else {
            Fate::Manifest(format!("CloudTarget {NAME}, which takes the place of {HANDLER}"))
        };
        self.outcomes.push(Outcome::new("environment", EVENT, fate));
    }
}
