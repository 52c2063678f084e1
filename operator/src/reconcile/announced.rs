//! Which events of an image were announced, so that each change is announced once, whenever the program was stopped.
//!
//! What was announced is compared with what is on the volume and in the clouds; the difference are the events. So an event
//! is not lost if the program stops between a change and its event, and none occurs for a change that was not made.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::api::{Kind, ObjectKey};
use crate::cache::{CacheError, NameError, StatePath};
use crate::events::{Event, EventType, ImageMetadata, Object, Phase};
use crate::imagelist::{ImageId, ListedImage};
use crate::reconcile::context::Context;
use crate::reconcile::step::StepProblem;
use crate::store::ResourceStore;

/// What was announced of an image. Its file is `state/announced/<namespace>/<name>.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Announced {
    /// How many events were announced. It makes their identities, so that an event that is sent again has the same one.
    pub events: u64,
    /// The versions that are available in the cache: one, and two while one replaces the other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cached: Vec<ImageMetadata>,
    /// By target: the version that is published there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub published: BTreeMap<String, ImageMetadata>,
}

impl Announced {
    /// These versions are available in the cache now. `archived` is the file of another version in the archive. An
    /// `Expire` comes before the `Available` of its successor, as handlers of vmcatcher expect.
    pub(super) fn cache(
        &mut self,
        object: &Object,
        now: Vec<ImageMetadata>,
        archived: impl Fn(&ImageMetadata) -> Option<String>,
    ) -> Vec<Event> {
        let before = std::mem::take(&mut self.cached);
        let mut events = Vec::new();
        for image in before.iter().filter(|image| !now.iter().any(|other| is_same(image, other))) {
            let image = ImageMetadata { file_name: archived(image), ..image.clone() };
            events.push(self.event(object, EventType::Expire, None, image));
        }
        for image in now.iter().filter(|image| !before.iter().any(|other| is_same(image, other))) {
            events.push(self.event(object, EventType::Available, None, image.clone()));
        }
        self.cached = now;
        events
    }

    /// The version that is published at a target is this one now.
    pub(super) fn publish(&mut self, object: &Object, target: &str, now: Option<ImageMetadata>) -> Vec<Event> {
        let now = now.map(|image| ImageMetadata { file_name: None, ..image });
        if let (Some(before), Some(now)) = (self.published.get(target), &now)
            && is_same(before, now)
        {
            return Vec::new();
        }
        let before = match &now {
            Some(image) => self.published.insert(target.to_owned(), image.clone()),
            None => self.published.remove(target),
        };
        let published = now.map(|image| self.event(object, EventType::Publish, Some(target), image));
        let retired = before.map(|image| self.event(object, EventType::Retire, Some(target), image));
        published.into_iter().chain(retired).collect()
    }

    fn event(&mut self, object: &Object, event: EventType, target: Option<&str>, image: ImageMetadata) -> Event {
        self.events += 1;
        let (target_name, version, sha512) = (target.unwrap_or_default(), &image.version, &image.sha512);
        // The version is part of it, because a restored record counts some numbers again.
        let name = format!("{} {object} {} {event} {target_name} {version} {sha512}", object.kind, self.events);
        Event {
            object: Some(object.clone()),
            target: target.map(str::to_owned),
            image: Some(Box::new(image)),
            ..Event::new(Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()), event, Phase::After)
        }
    }
}

/// Whether both are the same version with the same bytes.
fn is_same(one: &ImageMetadata, other: &ImageMetadata) -> bool {
    (&one.version, &one.sha512) == (&other.version, &other.sha512)
}

/// The metadata of an entry of a list.
pub(super) fn of_list_entry(image: &ListedImage, list: &ImageId, vo: Option<&str>) -> ImageMetadata {
    ImageMetadata {
        identifier: image.identifier.to_string(),
        version: image.version.to_string(),
        title: image.title.clone(),
        description: image.description.clone(),
        hypervisor: image.hypervisor.clone(),
        size: image.size().unwrap_or_default(),
        // Without the query, which may contain a signature.
        uri: image.uri.to_string(),
        format: image.format.clone(),
        arch: image.arch.clone(),
        sha512: image.sha512().map(|digest| digest.to_string()).unwrap_or_default(),
        comments: image.comments.clone(),
        os: image.os.clone(),
        os_version: image.os_version.clone(),
        list: list.to_string(),
        mpuri: image.mpuri.clone(),
        vo: vo.map(str::to_owned),
        file_name: None,
    }
}

/// The object of an event.
pub(super) fn object(kind: Kind, key: &ObjectKey) -> Object {
    Object { kind, namespace: key.namespace.clone(), name: key.name.clone() }
}

fn path(key: &ObjectKey) -> Result<StatePath, NameError> {
    StatePath::new(["announced", &key.namespace, &key.name])
}

/// Reads what was announced of an image; `None` if nothing was.
pub(super) fn read<S: ResourceStore>(context: &Context<S>, key: &ObjectKey) -> Result<Option<Announced>, CacheError> {
    context.volume.read_state(&path(key)?)
}

/// Puts events into the spool, and then writes what was announced. If the program stops in between, the same events are
/// found again, with the same identities.
pub(super) fn announce<S: ResourceStore>(
    context: &Context<S>,
    key: &ObjectKey,
    announced: &Announced,
    events: Vec<Event>,
    now: Timestamp,
) -> Result<(), StepProblem> {
    context.events.append(events, now)?;
    context.volume.write_state(&path(key)?, announced)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn image(version: u8) -> ImageMetadata {
        let text = |text: &str| text.to_owned();
        ImageMetadata {
            identifier: text("858a817e-0ca2-473f-89d3-d5bdfc51968e"),
            version: version.to_string(),
            title: text("t"),
            description: String::new(),
            hypervisor: text("KVM"),
            size: 1,
            uri: text("https://a/i"),
            format: None,
            arch: text("x86_64"),
            sha512: format!("{version:0128}"),
            comments: String::new(),
            os: text("Linux"),
            os_version: text("1"),
            list: text("l"),
            mpuri: None,
            vo: None,
            file_name: None,
        }
    }

    fn names(events: &[Event]) -> Vec<String> {
        let name = |event: &Event| format!("{} {}", event.event, event.image.as_ref().unwrap().version);
        events.iter().map(name).collect()
    }

    fn of() -> Object {
        object(Kind::Image, &ObjectKey::new("n", "i"))
    }

    #[test]
    fn a_replaced_version_expires_before_its_successor_is_available() {
        let mut announced = Announced::default();
        let archived = |image: &ImageMetadata| Some(format!("n/i/{}", image.version));
        assert_eq!(names(&announced.cache(&of(), vec![image(1)], archived)), ["Available 1"]);
        assert!(announced.cache(&of(), vec![image(1)], archived).is_empty());
        let replaced = announced.cache(&of(), vec![image(2)], archived);
        assert_eq!(names(&replaced), ["Expire 1", "Available 2"]);
        assert_eq!(replaced[0].image.as_ref().unwrap().file_name.as_deref(), Some("n/i/1"));
        assert_eq!(names(&announced.cache(&of(), Vec::new(), archived)), ["Expire 2"]);
    }

    #[test]
    fn a_new_version_in_a_cloud_is_there_before_the_old_one_is_retired() {
        let mut announced = Announced::default();
        assert_eq!(names(&announced.publish(&of(), "one", Some(image(1)))), ["Publish 1"]);
        assert_eq!(names(&announced.publish(&of(), "one", Some(image(2)))), ["Publish 2", "Retire 1"]);
        assert_eq!(names(&announced.publish(&of(), "two", None)), [""; 0]);
        assert_eq!(names(&announced.publish(&of(), "one", None)), ["Retire 2"]);
    }

    proptest! {
        /// However the state changes, and wherever the program stops between the spool and the record: the events, each
        /// identity counted once, are those of the changes, in their order.
        #[test]
        fn no_change_is_lost_and_none_is_invented(changes in prop::collection::vec((prop::option::of(0_u8..4), any::<bool>()), 0..30)) {
            let (mut stored, mut sent, mut state) = (Announced::default(), Vec::<Event>::new(), None::<u8>);
            let mut expected = Vec::new();
            for (next, stops) in changes {
                if next != state {
                    expected.extend(state.map(|version| format!("Expire {version}")));
                    expected.extend(next.map(|version| format!("Available {version}")));
                    state = next;
                }
                // It stops after the events were spooled and before the record was written; then it comes back.
                for cut in [stops, false] {
                    let mut announced = stored.clone();
                    sent.extend(announced.cache(&of(), state.map(image).into_iter().collect(), |_| None));
                    if !cut {
                        stored = announced;
                    }
                }
            }
            let mut seen = std::collections::BTreeSet::new();
            sent.retain(|event| seen.insert(event.id));
            prop_assert_eq!(names(&sent), expected);
        }
    }
}
