//! All clouds. Pure.

use askama::Template;

use super::frame::{Frame, Request};
use super::health;
use super::shown::{Address, Moment, State, Text};
use super::site::{Objects, sorted, worst_first};
use crate::api::{CloudType, ObjectKey};

/// The page.
#[derive(Template)]
#[template(path = "clouds.html")]
pub(super) struct Clouds {
    frame: Frame,
    rows: Vec<Row>,
    /// Rows that are left out.
    more: usize,
}

struct Row {
    key: ObjectKey,
    state: State,
    kind: &'static str,
    address: Address,
    server: Text,
    images: u32,
    pending: u32,
    seen: Option<Moment>,
    findings: Vec<(State, Text, Text)>,
}

impl Clouds {
    /// Makes the page. What needs attention is first.
    pub(super) fn of(request: &Request, objects: &Objects) -> Self {
        let rows: Vec<Row> = sorted(&objects.targets)
            .into_iter()
            .map(|(key, object)| {
                let found = health::of_target(object);
                let status = object.status.clone().unwrap_or_default();
                Row {
                    state: health::state(&found),
                    kind: match object.spec.r#type {
                        CloudType::OpenNebula => "OpenNebula",
                        CloudType::OpenStack => "OpenStack",
                        CloudType::Unknown => "unknown",
                    },
                    address: Address::of(object.spec.access().map(|access| access.address).unwrap_or_default()),
                    server: Text::of(status.server_version.as_deref().unwrap_or_default()),
                    images: status.images,
                    pending: status.pending,
                    seen: status.last_probe_time.as_ref().map(|time| Moment::of(time.0, request.now)),
                    findings: health::shown(&found),
                    key,
                }
            })
            .collect();
        let (rows, more) = worst_first(rows, |row| (row.state, &row.key));
        Self { frame: Frame::of(request, "Clouds", "Clouds"), rows, more }
    }
}
