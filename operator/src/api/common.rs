//! Types that several kinds share.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The API group of all kinds.
pub const GROUP: &str = "vmcatcher.io";
/// The only version so far.
pub const VERSION: &str = "v1alpha1";
/// Any new value reconciles the object now and clears its retry limit; on a subscription its images' too.
pub const REQUESTED_AT: &str = "vmcatcher.io/requestedAt";
/// On an object that came out of a folder of manifests: the file that it is in.
pub const MANIFEST: &str = "vmcatcher.io/manifest";
/// Flux's name of the same annotation, honoured too.
pub const FLUX_REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";
/// The same by the command `refresh`, for objects whose manifests are only read; the state folder holds it.
pub const REFRESH_REQUESTED_AT: &str = "vmcatcher.io/refreshRequestedAt";
/// Annotation of a Secret: to which hosts its credentials may go.
pub const ALLOWED_HOSTS: &str = "vmcatcher.io/allowed-hosts";
/// Annotation of a Secret: its credentials may go over http too.
pub const ALLOW_PLAIN_HTTP: &str = "vmcatcher.io/allow-plain-http";
/// On an image: `<target>/<id>`, an image of that cloud that becomes this one's, where the target's `adopt` names it.
pub const ADOPT: &str = "vmcatcher.io/adopt";
/// The label of a generated `CachedImage`: the subscription that made it.
pub const SUBSCRIPTION_LABEL: &str = "vmcatcher.io/subscription";
/// The finalizer of objects whose deletion policy is `Retire`.
pub const FINALIZER: &str = "vmcatcher.io/retire";

/// Names an object of the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectReference {
    /// Name of the object, in this object's namespace.
    #[schemars(length(max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
}

/// How far a signer is trusted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Trust {
    /// Its signatures are believed.
    #[default]
    Trusted,
    /// No new list is accepted from it; what is in force stays.
    Hold,
    /// What it signed goes out now.
    Revoked,
    /// A value of a newer version of this API: the object is `Stalled`.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// What certificate revocation lists (CRLs) must say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CrlPolicy {
    /// Every CA on the path needs a current CRL.
    #[default]
    Require,
    /// No CRL is fine; a bad or outdated one is not.
    IfPresent,
    /// CRLs are not looked at.
    Ignore,
    /// A value of a newer version of this API: the object is `Stalled`.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// What becomes of cached images when the object that wanted them is deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// They stay where they are and nobody looks after them any more.
    #[default]
    Orphan,
    /// They are archived, as if the list had dropped them; the object waits until that is done.
    Retire,
    /// A value of a newer version of this API: the object is `Stalled`.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// The form of a duration (`duration::parse_duration`), in a rule rather than a pattern: its message says what is
/// expected.
const IS_DURATION: &str = "self.matches('^([0-9]{1,5}(h|m|s|ms)){1,4}$')";

/// The rules of a field that holds a duration.
pub(super) fn duration() -> Value {
    let message = "expected a duration such as 90s, 6h or 1h30m (units h, m, s, ms; no days)";
    json!([{"rule": IS_DURATION, "message": message}])
}

/// The same, with a lower bound. What is no duration at all is reported once.
pub(super) fn duration_of_at_least(least: &str) -> Value {
    let mut rules = duration();
    let rule = format!("!{IS_DURATION} || duration(self) >= duration('{least}')");
    if let Some(rules) = rules.as_array_mut() {
        rules.push(json!({"rule": rule, "message": format!("expected at least {least}")}));
    }
    rules
}

/// A status that holds conditions.
pub trait HasConditions {
    /// The generation of the spec that the status speaks of; -1 before the first.
    fn observed_generation(&self) -> Option<i64>;
    /// The conditions, one a type.
    fn conditions(&self) -> &[Condition];

    /// The condition of a type, if there is one.
    fn condition(&self, name: &str) -> Option<&Condition> {
        self.conditions().iter().find(|condition| condition.type_ == name)
    }

    /// Whether the condition of a type is `True`.
    fn is_true(&self, name: &str) -> bool {
        self.condition(name).is_some_and(|condition| condition.status == "True")
    }
}

/// Implements [`HasConditions`] for a status with the two usual fields.
macro_rules! has_conditions {
    ($status:ty) => {
        impl $crate::api::HasConditions for $status {
            fn observed_generation(&self) -> Option<i64> {
                self.observed_generation
            }

            fn conditions(&self) -> &[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition] {
                &self.conditions
            }
        }
    };
}
pub(crate) use has_conditions;

/// The class of an error decides requeue, condition, event and log level, in one table (`reconcile::report`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Cannot work until a person changes something: no retry but by the ordinary interval.
    Stalled,
    /// Waits for something that others bring (a Secret, a list's acceptance): looked at again soon, no failure.
    Waiting,
    /// May pass by itself: tried again with back-off.
    Transient,
    /// A fault of this program or of its own volume.
    Internal,
}

/// A time as the API keeps it: whole seconds.
pub fn time(at: Timestamp) -> Time {
    Time(Timestamp::from_second(at.as_second()).unwrap_or(at))
}
