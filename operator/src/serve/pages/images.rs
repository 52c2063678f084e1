//! All images: a search, a filter by state, and pages of 100. Pure.

use std::collections::{BTreeSet, HashSet};

use askama::Template;
use jiff::Timestamp;

use super::frame::{Frame, Request, page_of};
use super::health;
use super::query::{Query, escaped};
use super::shown::{State, Text};
use super::site::Objects;
use crate::api::{CachedImage, ObjectKey};
use crate::serve::progress::ProgressPage;
use crate::size::{Count, Size};

/// The rows of one page.
const PAGE: usize = 100;
/// The most characters of a search.
const LONGEST: usize = 200;

/// The page.
#[derive(Template)]
#[template(path = "images.html")]
pub(super) struct Images {
    frame: Frame,
    filter: Filter,
    states: Vec<(&'static str, bool)>,
    namespaces: Vec<(Text, bool)>,
    rows: Vec<Row>,
    /// The number of images that the filter finds, in words.
    found: String,
    page: usize,
    pages: usize,
    previous: Option<String>,
    next: Option<String>,
    running: bool,
}

/// What a reader looks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Filter {
    /// A part of the title, the identifier, the version, the system or the subscription.
    text: String,
    state: Option<State>,
    namespace: Option<String>,
    /// Counted from 1.
    page: usize,
}

/// One image.
struct Row {
    key: ObjectKey,
    state: State,
    title: Text,
    version: Text,
    system: Text,
    subscription: Text,
    subscription_page: String,
    address: String,
    size: String,
    progress: Option<Text>,
}

impl Filter {
    /// Reads the filter of a query. What is not understood filters nothing.
    pub(super) fn of(query: &Query) -> Self {
        let text = |name| query.get(name).map(|text| text.trim().chars().take(LONGEST).collect::<String>());
        Self {
            text: text("q").unwrap_or_default(),
            state: query.get("state").and_then(|word| State::ALL.into_iter().find(|state| state.word() == word)),
            namespace: text("namespace").filter(|namespace| !namespace.is_empty()),
            page: query.get("page").and_then(|page| page.parse().ok()).unwrap_or(1).max(1),
        }
    }

    /// The text of the search, escaped by the template.
    fn shown(&self) -> Text {
        Text::at_most(&self.text, LONGEST)
    }

    fn address(&self, page: usize) -> String {
        let state = self.state.map(State::word).unwrap_or_default();
        let namespace = self.namespace.as_deref().unwrap_or_default();
        format!("/images?q={}&state={state}&namespace={}&page={page}", escaped(&self.text), escaped(namespace))
    }
}

impl Images {
    /// Makes the page. The search is over all images, and only the rows of the page are made.
    pub(super) fn of(request: &Request, objects: &Objects, work: &ProgressPage, filter: Filter) -> Self {
        let needle = filter.text.to_lowercase();
        let running: HashSet<(&str, &str)> =
            work.running.iter().map(|one| (one.namespace.as_str(), one.name.as_str())).collect();
        let mut found: Vec<(ObjectKey, &CachedImage, State)> = objects
            .images
            .iter()
            .filter(|image| needle.is_empty() || has_text(image, &needle))
            .map(|image| (ObjectKey::of(&**image), &**image, state(image, &running, request.now)))
            .filter(|(key, _, state)| {
                filter.namespace.as_ref().is_none_or(|namespace| *namespace == key.namespace)
                    && filter.state.is_none_or(|wanted| wanted == *state)
            })
            .collect();
        found.sort_by(|one, other| (one.2, title(one.1), &one.0).cmp(&(other.2, title(other.1), &other.0)));
        let pages = found.len().div_ceil(PAGE).max(1);
        let page = filter.page.min(pages);
        let rows = found.iter().skip((page - 1) * PAGE).take(PAGE).map(|(key, image, state)| row(key, image, *state));
        Self {
            frame: Frame::of(request, "Images", "Images"),
            states: State::ALL.iter().map(|state| (state.word(), filter.state == Some(*state))).collect(),
            namespaces: namespaces(objects, filter.namespace.as_deref()),
            rows: rows.collect(),
            found: Count(found.len(), "image").to_string(),
            previous: (page > 1).then(|| filter.address(page - 1)),
            next: (page < pages).then(|| filter.address(page + 1)),
            page,
            pages,
            running: !work.running.is_empty(),
            filter,
        }
    }
}

/// The state of an image, with the work that runs now.
fn state(image: &CachedImage, running: &HashSet<(&str, &str)>, now: Timestamp) -> State {
    let name = (image.metadata.namespace.as_deref(), image.metadata.name.as_deref());
    let is_running = matches!(name, (Some(namespace), Some(name)) if running.contains(&(namespace, name)));
    match health::state(&health::of_image(image, now)) {
        State::Waiting | State::Good if is_running => State::Working,
        state => state,
    }
}

fn title(image: &CachedImage) -> &str {
    let wanted = image.status.as_ref().and_then(|status| status.image.as_ref());
    wanted.map(|wanted| wanted.title.as_str()).filter(|title| !title.is_empty()).unwrap_or(&image.spec.identifier)
}

/// Whether an image has a text, given in lower case.
fn has_text(image: &CachedImage, needle: &str) -> bool {
    let has = |text: &str| text.to_lowercase().contains(needle);
    if has(&image.spec.identifier) || has(&image.spec.subscription_ref.name) {
        return true;
    }
    let wanted = image.status.as_ref().and_then(|status| status.image.as_ref());
    wanted.is_some_and(|wanted| {
        [&wanted.title, &wanted.version, &wanted.os, &wanted.os_version, &wanted.arch].into_iter().any(|text| has(text))
            || wanted.sha512.as_ref().is_some_and(|sha512| needle.len() >= 8 && sha512.starts_with(needle))
    })
}

fn namespaces(objects: &Objects, chosen: Option<&str>) -> Vec<(Text, bool)> {
    let all: BTreeSet<&str> = objects.images.iter().filter_map(|image| image.metadata.namespace.as_deref()).collect();
    all.into_iter().take(1000).map(|namespace| (Text::of(namespace), chosen == Some(namespace))).collect()
}

fn row(key: &ObjectKey, image: &CachedImage, state: State) -> Row {
    let status = image.status.as_ref();
    let wanted = status.and_then(|status| status.image.as_ref());
    let artifact = status.and_then(|status| status.artifact.as_ref());
    let size = wanted.and_then(|wanted| wanted.size).or(artifact.map(|artifact| artifact.size));
    let system = wanted.map(|wanted| format!("{} {} {}", wanted.os, wanted.os_version, wanted.arch));
    let progress = status.and_then(|status| status.progress.as_ref());
    let subscription = &image.spec.subscription_ref.name;
    Row {
        state,
        title: Text::at_most(title(image), 120),
        version: Text::at_most(wanted.map(|wanted| wanted.version.as_str()).unwrap_or_default(), 80),
        system: Text::at_most(system.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ").as_str(), 80),
        subscription: Text::of(subscription),
        subscription_page: page_of("subscriptions", &key.sibling(subscription)),
        address: page_of("images", key),
        size: size.map(|size| Size(size).to_string()).unwrap_or_default(),
        progress: progress.map(|progress| Text::at_most(&format!("{} {}", progress.step, progress.percent), 60)),
        key: key.clone(),
    }
}
