//! The work that runs, as a table and as live figures. Pure.

use serde::Serialize;

use super::frame::page_of;
use super::shown::Text;
use crate::api::ObjectKey;
use crate::serve::progress::{ProgressPage, RunningWork};
use crate::size::Size;

/// The most rows of a page.
const MOST: usize = 100;

/// The running work of a page.
#[derive(Debug, Clone, Default)]
pub(super) struct Running {
    pub rows: Vec<Row>,
    /// Rows that are left out.
    pub more: usize,
    /// Downloads that wait for their turn.
    pub queued: usize,
    /// The query of the live figures.
    pub query: String,
}

/// One row of it.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub figures: Figures,
    pub what: &'static str,
    pub title: Text,
    pub version: Text,
    pub image: String,
    pub target: Option<Text>,
    pub message: Option<Text>,
}

/// What changes while work runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Figures {
    /// Which work it is.
    pub key: String,
    /// The bytes that are done; `None` if they are not known.
    pub done: Option<u64>,
    /// The bytes in all; `None` if they are not known.
    pub total: Option<u64>,
    /// Such as `42 %`.
    pub share: String,
    /// Such as `1 MiB of 3 MiB, 2 MiB a second`.
    pub amount: String,
}

/// The message of the live figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Live {
    pub queued: usize,
    pub works: Vec<Figures>,
}

impl Running {
    /// The work on all images, or on one.
    pub(super) fn of(page: &ProgressPage, only: Option<&ObjectKey>) -> Self {
        let found: Vec<&RunningWork> = chosen(page, only).collect();
        let rows: Vec<Row> = found.iter().take(MOST).map(|work| row(work)).collect();
        let more = found.len() - rows.len() + only.map_or(page.left_out, |_| 0);
        let query = only.map(|key| format!("?namespace={}&name={}", key.namespace, key.name)).unwrap_or_default();
        Self { more, rows, queued: if only.is_none() { page.queued } else { 0 }, query }
    }
}

impl Live {
    /// The figures of all work, or of that on one image.
    pub(super) fn of(page: &ProgressPage, only: Option<&ObjectKey>) -> Self {
        Self {
            queued: if only.is_none() { page.queued } else { 0 },
            works: chosen(page, only).take(MOST).map(figures).collect(),
        }
    }
}

fn chosen<'p>(page: &'p ProgressPage, only: Option<&'p ObjectKey>) -> impl Iterator<Item = &'p RunningWork> {
    page.running
        .iter()
        .filter(move |work| only.is_none_or(|key| (&key.namespace, &key.name) == (&work.namespace, &work.name)))
}

fn row(work: &RunningWork) -> Row {
    use crate::events::EventType;
    let what = match work.event {
        EventType::Download => "Download",
        EventType::Convert => "Conversion",
        EventType::Publish => "Import",
        EventType::Process
        | EventType::SubscriptionImageNew
        | EventType::Available
        | EventType::Expire
        | EventType::ListAccepted
        | EventType::ListRefused
        | EventType::RemovalBlocked
        | EventType::HookVetoed
        | EventType::Retire => "Work",
    };
    Row {
        figures: figures(work),
        what,
        title: Text::at_most(work.title.as_deref().unwrap_or(&work.name), 120),
        version: Text::at_most(work.version.as_deref().unwrap_or_default(), 120),
        image: page_of("images", &ObjectKey::new(&work.namespace, &work.name)),
        target: work.target.as_deref().map(Text::of),
        message: work.message.as_deref().map(Text::of),
    }
}

fn figures(work: &RunningWork) -> Figures {
    let target = work.target.as_deref().unwrap_or_default();
    let amount = match (work.done, work.total) {
        (Some(done), Some(total)) => format!("{} of {}", Size(done), Size(total)),
        (Some(done), None) => Size(done).to_string(),
        (None, _) => "the cloud does not say how far it is".to_owned(),
    };
    let rate = work.bytes_per_second.filter(|rate| *rate > 0).map(|rate| format!(", {} a second", Size(rate)));
    let share = match (work.done, work.total) {
        (Some(done), Some(total)) if total > 0 => {
            format!("{} %", u128::from(done.min(total)) * 100 / u128::from(total))
        }
        (Some(_) | None, _) => String::new(),
    };
    Figures {
        key: Text::of(format!("{} {}/{} {target}", work.event, work.namespace, work.name)).to_string(),
        done: work.done,
        total: work.total,
        share,
        amount: amount + &rate.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::EventType;

    fn work(name: &str, done: Option<u64>, total: Option<u64>) -> RunningWork {
        RunningWork {
            event: EventType::Download,
            namespace: "default".to_owned(),
            name: name.to_owned(),
            target: None,
            title: Some("<b>".to_owned()),
            version: None,
            reason: None,
            message: None,
            done,
            total,
            bytes_per_second: Some(2048),
        }
    }

    #[test]
    fn figures_are_said_as_far_as_they_are_known() {
        let shown = |done, total| {
            let figures = figures(&work("a", done, total));
            (figures.share, figures.amount)
        };
        assert_eq!(shown(Some(1024), Some(4096)), ("25 %".to_owned(), "1 KiB of 4 KiB, 2 KiB a second".to_owned()));
        assert_eq!(shown(Some(1024), None), (String::new(), "1 KiB, 2 KiB a second".to_owned()));
        assert_eq!(shown(Some(u64::MAX), Some(1)).0, "100 %");
        assert_eq!(shown(None, None).0, "");
    }

    #[test]
    fn a_page_is_bounded_and_can_be_about_one_image() {
        let running = (0..150).map(|number| work(&format!("i{number}"), Some(1), Some(2))).collect();
        let page = ProgressPage { queued: 7, left_out: 3, running };
        let all = Running::of(&page, None);
        assert_eq!((all.rows.len(), all.more, all.queued), (MOST, 53, 7));
        let one = ObjectKey::new("default", "i9");
        let of_one = Running::of(&page, Some(&one));
        assert_eq!((of_one.rows.len(), of_one.more, of_one.queued), (1, 0, 0));
        assert_eq!(of_one.query, "?namespace=default&name=i9");
        assert_eq!(Live::of(&page, Some(&one)).works[0].key, "Download default/i9 ");
    }
}
