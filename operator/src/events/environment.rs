//! What a handler is given: the environment of vmcatcher's event handlers, and arguments. Pure.
//!
//! The names are those of vmcatcher 0.6. It sets a variable only if its value is not empty, and so does this program.
//! `VMCATCHER_RDBMS` is not set, because there is no such database. Variables that vmcatcher does not have begin with
//! `VMCATCHER_OPERATOR_`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::event::{Event, EventType, ImageMetadata, Phase};

/// The longest value in bytes, and that of a description, of comments and of the message. Linux accepts strings of up
/// to 128 KiB, including the name (`MAX_ARG_STRLEN`, execve(2)).
const LONGEST_VALUE: usize = 4 << 10;
const LONGEST_TEXT: usize = 16 << 10;
/// The most bytes of all variables of an event. Linux accepts 128 KiB of arguments and environment even if the stack is
/// limited to less (`ARG_MAX`, execve(2)).
const MOST_BYTES: usize = 80 << 10;
/// The longest argument in bytes.
const LONGEST_ARGUMENT: usize = 4 << 10;

/// The directories of the volume, as handlers see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheDirectories {
    /// The published images. [`ImageMetadata::file_name`] is relative to it.
    pub cache: PathBuf,
    /// The images that are being downloaded.
    pub download: PathBuf,
    /// The images that have expired. [`ImageMetadata::file_name`] of `Expire` after is relative to it.
    pub expire: PathBuf,
}

impl CacheDirectories {
    /// The directories of the volume at a path, which is absolute: handlers have a working directory of their own.
    pub fn of_volume(volume: &Path) -> Self {
        Self { cache: volume.join("endorsed"), download: volume.join("partial"), expire: volume.join("expired") }
    }
}

/// The environment variables of an event.
///
/// A value has at most 4 KiB, a description, comments and the message have at most 16 KiB each, and all together have
/// at most 80 KiB. Of a text that is longer, the end is cut at the boundary of a character. An identifier, an address or
/// a file name that is longer is left out, because a part of it would be wrong. `VMCATCHER_OPERATOR_CUT` has the names
/// of these variables, with spaces between them. NUL characters, which an environment cannot hold, become U+FFFD.
pub fn environment(event: &Event, directories: &CacheDirectories) -> BTreeMap<String, OsString> {
    let mut variables = Variables { values: BTreeMap::new(), left: MOST_BYTES, cut: Vec::new() };
    let paths = [
        ("VMCATCHER_CACHE_DIR_CACHE", &directories.cache),
        ("VMCATCHER_CACHE_DIR_DOWNLOAD", &directories.download),
        ("VMCATCHER_CACHE_DIR_EXPIRE", &directories.expire),
    ];
    for (name, path) in paths {
        variables.insert(name, path.clone().into_os_string());
    }
    variables.of_event(event);
    if let Some(image) = &event.image {
        variables.of_image(image, event.event == EventType::SubscriptionImageNew);
        // Long texts are last, so that they leave room for all others.
        variables.text("VMCATCHER_EVENT_DC_DESCRIPTION", &image.description, LONGEST_TEXT);
        variables.text("VMCATCHER_EVENT_SL_COMMENTS", &image.comments, LONGEST_TEXT);
    }
    if !variables.cut.is_empty() {
        variables.values.insert("VMCATCHER_OPERATOR_CUT".to_owned(), variables.cut.join(" ").into());
    }
    variables.values
}

/// The arguments of an event: the kind of the object, its name (`namespace/name`), the event, the phase, and the name
/// of the target if there is one. What an event does not have is `-`.
pub fn arguments(event: &Event) -> Vec<String> {
    let (kind, name) = match &event.object {
        Some(object) => (object.kind.to_string(), object.to_string()),
        None => ("-".to_owned(), "-".to_owned()),
    };
    let mut arguments = vec![kind, name, event.event.to_string(), event.phase.to_string()];
    arguments.extend(event.target.clone());
    arguments.iter().map(|argument| cut(&without_nul(argument), LONGEST_ARGUMENT).to_owned()).collect()
}

/// `VMCATCHER_EVENT_TYPE`. For events that vmcatcher does not have, the name is made in the same way, with `Progress`
/// for that phase.
fn event_type(event: EventType, phase: Phase) -> String {
    let end = match (event, phase) {
        (EventType::SubscriptionImageNew, Phase::After) => "",
        (_, Phase::Before) => "Prefix",
        (_, Phase::After) => "Postfix",
        (_, Phase::Progress) => "Progress",
    };
    format!("{event}{end}")
}

/// The variables so far.
struct Variables {
    values: BTreeMap<String, OsString>,
    /// The bytes that further variables may have.
    left: usize,
    /// The variables that were cut or left out.
    cut: Vec<&'static str>,
}

impl Variables {
    fn of_event(&mut self, event: &Event) {
        self.exact("VMCATCHER_EVENT_TYPE", &event_type(event.event, event.phase));
        self.exact("VMCATCHER_EVENT_UUID_SESSION", &event.session.to_string());
        self.exact("VMCATCHER_OPERATOR_EVENT_ID", &event.id.to_string());
        self.exact("VMCATCHER_OPERATOR_EVENT", event.event.as_str());
        self.exact("VMCATCHER_OPERATOR_PHASE", event.phase.as_str());
        self.exact("VMCATCHER_OPERATOR_TIME", &event.time.to_string());
        if let Some(object) = &event.object {
            self.exact("VMCATCHER_OPERATOR_OBJECT_KIND", &object.kind.to_string());
            self.exact("VMCATCHER_OPERATOR_OBJECT", &object.to_string());
        }
        self.exact("VMCATCHER_OPERATOR_TARGET", event.target.as_deref().unwrap_or_default());
        self.exact("VMCATCHER_OPERATOR_REASON", event.reason.as_deref().unwrap_or_default());
        self.text("VMCATCHER_OPERATOR_MESSAGE", event.message.as_deref().unwrap_or_default(), LONGEST_TEXT);
        if let Some(progress) = event.progress {
            self.exact("VMCATCHER_OPERATOR_PROGRESS_DONE", &progress.done.to_string());
            self.exact("VMCATCHER_OPERATOR_PROGRESS_TOTAL", &progress.total.map_or(String::new(), |t| t.to_string()));
        }
    }

    /// All of an image but its long texts. For an image that is new, vmcatcher has only what its database holds.
    fn of_image(&mut self, image: &ImageMetadata, is_new: bool) {
        self.exact("VMCATCHER_EVENT_DC_IDENTIFIER", &image.identifier);
        self.exact("VMCATCHER_EVENT_HV_SIZE", &image.size.to_string());
        self.exact("VMCATCHER_EVENT_HV_VERSION", &image.version);
        self.exact("VMCATCHER_EVENT_SL_CHECKSUM_SHA512", &image.sha512);
        if !is_new {
            self.exact("VMCATCHER_EVENT_FILENAME", image.file_name.as_deref().unwrap_or_default());
            self.exact("VMCATCHER_EVENT_IL_DC_IDENTIFIER", &image.list);
            self.exact("VMCATCHER_EVENT_VO", image.vo.as_deref().unwrap_or_default());
            self.exact("VMCATCHER_EVENT_AD_MPURI", image.mpuri.as_deref().unwrap_or_default());
            self.text("VMCATCHER_EVENT_HV_FORMAT", image.format.as_deref().unwrap_or_default(), LONGEST_VALUE);
        }
        self.exact("VMCATCHER_EVENT_HV_URI", &image.uri);
        self.text("VMCATCHER_EVENT_HV_HYPERVISOR", &image.hypervisor, LONGEST_VALUE);
        self.text("VMCATCHER_EVENT_SL_ARCH", &image.arch, LONGEST_VALUE);
        self.text("VMCATCHER_EVENT_SL_OS", &image.os, LONGEST_VALUE);
        self.text("VMCATCHER_EVENT_SL_OSVERSION", &image.os_version, LONGEST_VALUE);
        self.text("VMCATCHER_EVENT_DC_TITLE", &image.title, LONGEST_VALUE);
    }

    /// A value of which a part would be wrong: left out if it is too long.
    fn exact(&mut self, name: &'static str, value: &str) {
        let value = without_nul(value);
        if value.len() > self.room(name, LONGEST_VALUE) {
            self.cut.push(name);
        } else if !value.is_empty() {
            self.insert(name, value.into());
        }
    }

    /// A text for people: its end is cut after `most` bytes.
    fn text(&mut self, name: &'static str, value: &str, most: usize) {
        let value = without_nul(value);
        let kept = cut(&value, self.room(name, most));
        if kept.len() < value.len() {
            self.cut.push(name);
        }
        if !kept.is_empty() {
            self.insert(name, kept.into());
        }
    }

    fn insert(&mut self, name: &'static str, value: OsString) {
        // The name, `=`, the value, NUL.
        self.left = self.left.saturating_sub(name.len() + value.len() + 2);
        self.values.insert(name.to_owned(), value);
    }

    /// The longest value that a variable can have now.
    fn room(&self, name: &str, most: usize) -> usize {
        self.left.saturating_sub(name.len() + 2).min(most)
    }
}

fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// The first bytes of a text, up to the boundary of a character.
fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests {
    use super::super::event::{Object, Progress};
    use super::*;
    use crate::api::Kind;

    fn event(text: &str) -> Event {
        let image = ImageMetadata {
            identifier: "id".to_owned(),
            version: text.to_owned(),
            title: text.to_owned(),
            description: text.to_owned(),
            hypervisor: text.to_owned(),
            size: 1,
            uri: text.to_owned(),
            format: Some(text.to_owned()),
            arch: text.to_owned(),
            sha512: "ab".repeat(64),
            comments: text.to_owned(),
            os: text.to_owned(),
            os_version: text.to_owned(),
            list: text.to_owned(),
            mpuri: Some(text.to_owned()),
            vo: Some(text.to_owned()),
            file_name: Some("id".to_owned()),
        };
        Event {
            id: uuid::Uuid::from_u128(1),
            session: uuid::Uuid::from_u128(2),
            time: "2026-11-22T02:30:32Z".parse().unwrap(),
            event: EventType::Publish,
            phase: Phase::Progress,
            object: Some(Object { kind: Kind::Image, namespace: "site".to_owned(), name: "id".to_owned() }),
            target: Some("east".to_owned()),
            image: Some(Box::new(image)),
            reason: Some("Importing".to_owned()),
            message: Some(text.to_owned()),
            progress: Some(Progress { done: 3, total: Some(9) }),
        }
    }

    fn directories() -> CacheDirectories {
        CacheDirectories { cache: "/c".into(), download: "/d".into(), expire: "/e".into() }
    }

    fn bytes(variables: &BTreeMap<String, OsString>) -> usize {
        variables.iter().map(|(name, value)| name.len() + value.len() + 2).sum()
    }

    #[test]
    fn what_an_event_has_is_there_and_what_it_lacks_is_not() {
        let mut event = event("");
        let variables = environment(&event, &directories());
        let of_operator: Vec<String> = variables
            .iter()
            .filter_map(|(name, value)| {
                Some(format!("{}={}", name.strip_prefix("VMCATCHER_OPERATOR_")?, value.display()))
            })
            .collect();
        let expected = [
            "EVENT=Publish",
            "EVENT_ID=00000000-0000-0000-0000-000000000001",
            "OBJECT=site/id",
            "OBJECT_KIND=CachedImage",
            "PHASE=progress",
            "PROGRESS_DONE=3",
            "PROGRESS_TOTAL=9",
            "REASON=Importing",
            "TARGET=east",
            "TIME=2026-11-22T02:30:32Z",
        ];
        assert_eq!(of_operator, expected);
        assert_eq!(variables["VMCATCHER_EVENT_TYPE"], "PublishProgress");
        let of_image = variables.keys().filter(|name| name.starts_with("VMCATCHER_EVENT_"));
        assert_eq!(of_image.count(), 6, "the type, the session and what is not empty of the image: {variables:?}");
        assert_eq!(arguments(&event), ["CachedImage", "site/id", "Publish", "progress", "east"]);
        (event.object, event.target, event.image) = (None, None, None);
        (event.event, event.phase) = (EventType::Process, Phase::Before);
        assert_eq!(arguments(&event), ["-", "-", "Process", "before"]);
        assert_eq!(environment(&event, &directories())["VMCATCHER_EVENT_TYPE"], "ProcessPrefix");
    }

    #[test]
    fn long_texts_are_cut_between_characters_and_long_identifiers_are_left_out() {
        let variables = environment(&event(&"é".repeat(100_000)), &directories());
        assert!(bytes(&variables) <= 82 << 10, "{}", bytes(&variables));
        for name in ["VMCATCHER_EVENT_DC_DESCRIPTION", "VMCATCHER_EVENT_SL_COMMENTS", "VMCATCHER_EVENT_SL_OS"] {
            assert!(variables[name].len() > 2000, "{name}");
        }
        let title = variables["VMCATCHER_EVENT_DC_TITLE"].to_str().unwrap();
        assert!(title.chars().all(|c| c == 'é') && !title.is_empty());
        assert!(!variables.contains_key("VMCATCHER_EVENT_HV_URI"));
        assert_eq!(variables["VMCATCHER_EVENT_DC_IDENTIFIER"], "id");
        assert_eq!(variables["VMCATCHER_OPERATOR_REASON"], "Importing");
        let cut: Vec<&str> = variables["VMCATCHER_OPERATOR_CUT"].to_str().unwrap().split(' ').collect();
        for name in ["VMCATCHER_EVENT_HV_URI", "VMCATCHER_EVENT_DC_TITLE", "VMCATCHER_OPERATOR_MESSAGE"] {
            assert!(cut.contains(&name), "{name}: {cut:?}");
        }
        let one_long = Event { message: Some("a".repeat(LONGEST_TEXT)), ..event("x") };
        let variables = environment(&one_long, &directories());
        assert_eq!(variables["VMCATCHER_OPERATOR_MESSAGE"].len(), LONGEST_TEXT);
        assert!(!variables.contains_key("VMCATCHER_OPERATOR_CUT"));
    }

    #[test]
    fn nul_is_replaced() {
        let mut event = event("a\0b\n$(c)");
        event.target = Some("x\0".to_owned());
        let variables = environment(&event, &directories());
        assert_eq!(variables["VMCATCHER_EVENT_DC_TITLE"], "a\u{fffd}b\n$(c)");
        assert!(variables.values().all(|value| !value.as_encoded_bytes().contains(&0)));
        assert_eq!(arguments(&event)[4], "x\u{fffd}");
    }
}
