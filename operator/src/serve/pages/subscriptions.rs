//! All subscriptions. Pure.

use askama::Template;

use super::frame::{Frame, Request, page_of};
use super::health;
use super::shown::{Address, Moment, State, Text};
use super::site::{Objects, sorted, worst_first};
use crate::api::{ImageCounts, ListSource, ObjectKey};

/// The page.
#[derive(Template)]
#[template(path = "subscriptions.html")]
pub(super) struct Subscriptions {
    frame: Frame,
    rows: Vec<Row>,
    /// Rows that are left out.
    more: usize,
}

struct Row {
    key: ObjectKey,
    state: State,
    address: String,
    source: Address,
    list: Text,
    expires: Option<Moment>,
    fetched: Option<Moment>,
    images: String,
}

impl Subscriptions {
    /// Makes the page. What needs attention is first.
    pub(super) fn of(request: &Request, objects: &Objects) -> Self {
        let now = request.now;
        let rows: Vec<Row> = sorted(&objects.subscriptions)
            .into_iter()
            .map(|(key, object)| {
                let status = object.status.as_ref();
                let list = status.and_then(|status| status.list.as_ref());
                let fetched = status.and_then(|status| status.last_successful_fetch_time.as_ref());
                Row {
                    state: health::state(&health::of_subscription(object, now)),
                    address: page_of("subscriptions", &key),
                    source: Address::of(&source(&object.spec.source)),
                    list: Text::at_most(list.map(|list| list.version.as_str()).unwrap_or_default(), 80),
                    expires: list.map(|list| Moment::of(list.expires.0, now)),
                    fetched: fetched.map(|time| Moment::of(time.0, now)),
                    images: status.and_then(|status| status.images.as_ref()).map(counts).unwrap_or_default(),
                    key,
                }
            })
            .collect();
        let (rows, more) = worst_first(rows, |row| (row.state, &row.key));
        Self { frame: Frame::of(request, "Subscriptions", "Subscriptions"), rows, more }
    }
}

fn counts(images: &ImageCounts) -> String {
    format!("{} of {} ready", images.ready, images.selected)
}

/// The address of a source.
pub(super) fn source(source: &ListSource) -> String {
    let checksums = source.checksums.as_ref().map(|checksums| checksums.url.clone());
    let streams = source.simple_streams.as_ref().map(|streams| streams.url.clone());
    let oci = source.oci.as_ref().map(|oci| match (&oci.tags, &oci.digest) {
        (Some(tags), _) => format!("{} ({tags})", oci.repository),
        (None, Some(digest)) => format!("{}@{digest}", oci.repository),
        (None, None) => oci.repository.clone(),
    });
    source.url.clone().or(checksums).or(streams).or(oci).unwrap_or_default()
}
