//! The overview: what is late, refused, failing or ends soon comes first. Pure.

use askama::Template;
use jiff::Timestamp;

use super::frame::{Frame, Request, page_of};
use super::health::{self, Finding};
use super::running::Running;
use super::shown::{Moment, State, Text};
use super::site::Objects;
use crate::api::{Kind, ObjectKey, Resource};
use crate::serve::progress::ProgressPage;
use crate::size::Size;

/// The most rows of what needs attention.
const MOST: usize = 100;
/// The most manifests that are not valid.
const MOST_PROBLEMS: usize = 20;

/// The page.
#[derive(Template)]
#[template(path = "overview.html")]
pub(super) struct Overview {
    frame: Frame,
    counts: Vec<Count>,
    rows: Vec<Row>,
    /// Rows that are left out.
    more: usize,
    problems: Vec<Text>,
    more_problems: usize,
    running: Running,
    free: Option<String>,
}

/// How many objects of a kind there are, and how many are good.
struct Count {
    name: &'static str,
    address: &'static str,
    all: usize,
    good: usize,
}

/// Something that needs attention.
struct Row {
    finding: Finding,
    kind: &'static str,
    name: Text,
    address: String,
    key: ObjectKey,
    reason: Text,
    message: Text,
    at: Option<Moment>,
}

impl Overview {
    /// Makes the page. `free` is the number of bytes that the volume still takes, if it is known.
    pub(super) fn of(request: &Request, objects: &Objects, work: &ProgressPage, free: Option<u64>) -> Self {
        let now = request.now;
        let mut rows = Vec::new();
        let counts = vec![
            count(&mut rows, &objects.subscriptions, now, |object| health::of_subscription(object, now)),
            count(&mut rows, &objects.images, now, |object| health::of_image(object, now)),
            count(&mut rows, &objects.endorsers, now, health::of_endorser),
            count(&mut rows, &objects.targets, now, health::of_target),
        ];
        rows.sort_by(|one, other| order(one).cmp(&order(other)));
        let more = rows.len().saturating_sub(MOST);
        rows.truncate(MOST);
        name_images(&mut rows, objects);
        Self {
            frame: Frame::of(request, "Overview", "Overview"),
            counts,
            rows,
            more,
            problems: objects.problems.iter().take(MOST_PROBLEMS).map(Text::of).collect(),
            more_problems: objects.problems.len().saturating_sub(MOST_PROBLEMS),
            running: Running::of(work, None),
            free: free.map(|bytes| Size(bytes).to_string()),
        }
    }
}

fn order(row: &Row) -> (State, &'static str, &ObjectKey) {
    (row.finding.state, row.kind, &row.key)
}

/// Counts the objects of a kind, and adds what needs attention.
fn count<K: Resource>(
    rows: &mut Vec<Row>,
    objects: &[std::sync::Arc<K>],
    now: Timestamp,
    findings: impl Fn(&K) -> Vec<Finding>,
) -> Count {
    let (name, address, kind) = of_kind(K::KIND);
    let mut good = 0;
    for object in objects {
        let found = findings(object);
        good += usize::from(found.is_empty());
        let key = ObjectKey::of(&**object);
        rows.extend(found.into_iter().filter(|finding| finding.state.needs_attention()).map(|finding| Row {
            kind,
            name: Text::of(&key.name),
            address: match K::KIND {
                Kind::Subscription => page_of("subscriptions", &key),
                Kind::Image => page_of("images", &key),
                Kind::Endorser | Kind::Target => format!("{address}#{}.{}", key.namespace, key.name),
            },
            reason: Text::of(&finding.reason),
            message: Text::of(&finding.message),
            at: finding.at.map(|at| Moment::of(at, now)),
            key: key.clone(),
            finding,
        }));
    }
    Count { name, address, all: objects.len(), good }
}

const fn of_kind(kind: Kind) -> (&'static str, &'static str, &'static str) {
    match kind {
        Kind::Subscription => ("Subscriptions", "/subscriptions", "Subscription"),
        Kind::Image => ("Images", "/images", "Image"),
        Kind::Endorser => ("Endorsers", "/endorsers", "Endorser"),
        Kind::Target => ("Clouds", "/clouds", "Cloud"),
    }
}

/// An image is called by its title.
fn name_images(rows: &mut [Row], objects: &Objects) {
    for row in rows.iter_mut().filter(|row| row.kind == "Image") {
        let object = objects.images.iter().find(|object| ObjectKey::of(&***object) == row.key);
        let wanted = object.and_then(|object| object.status.as_ref()?.image.as_ref());
        if let Some(title) = wanted.map(|wanted| &wanted.title).filter(|title| !title.is_empty()) {
            row.name = Text::at_most(title, 120);
        }
    }
}
