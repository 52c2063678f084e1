//! The running work of operators, as the events of progress from a broker have it.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use super::view::View;
use crate::cli::operation::stop;
use crate::events::{AmqpSettings, Event, EventType, Phase, ProgressListener};
use crate::serve::{ProgressPage, RunningWork};

/// The wait before a connection that broke is made again.
const AGAIN: Duration = Duration::from_secs(2);
/// The most works that are shown.
const MOST: usize = 1000;

/// Works by image, event and target.
type Works = BTreeMap<(String, String, EventType, Option<String>), RunningWork>;

/// Follows the events. Fails only if the broker cannot be reached at the beginning.
pub(super) async fn follow(settings: &AmqpSettings, mut view: View) -> anyhow::Result<()> {
    let mut stop = pin!(stop()?);
    let mut listener = Some(ProgressListener::connect(settings).await?);
    let mut works = Works::new();
    loop {
        let event = tokio::select! {
            () = &mut stop => break,
            event = next(&mut listener, settings) => event,
        };
        if let Some(event) = event {
            take(&mut works, event);
            let page = ProgressPage { running: works.values().cloned().collect(), ..ProgressPage::default() };
            if !view.show(&page)? {
                break;
            }
        }
    }
    view.clear();
    Ok(())
}

/// The next event; `None` after the connection broke.
async fn next(listener: &mut Option<ProgressListener>, settings: &AmqpSettings) -> Option<Event> {
    let Some(connected) = listener else {
        tokio::time::sleep(AGAIN).await;
        *listener = ProgressListener::connect(settings).await.ok();
        return None;
    };
    match connected.next().await {
        Ok(event) => Some(event),
        Err(error) => {
            tracing::warn!("{error}; waiting");
            *listener = None;
            None
        }
    }
}

/// Takes an event of progress into the works: the last one of a step removes it.
fn take(works: &mut Works, event: Event) {
    let Some(object) = event.object.filter(|_| event.phase == Phase::Progress) else { return };
    let key = (object.namespace.clone(), object.name.clone(), event.event, event.target.clone());
    let runs = event.reason.as_deref().is_none_or(|reason| ["Unpack", "Convert", "Importing"].contains(&reason));
    if !runs {
        works.remove(&key);
        return;
    }
    let work = RunningWork {
        event: event.event,
        namespace: object.namespace,
        name: object.name,
        target: event.target,
        title: event.image.as_ref().map(|image| image.title.clone()),
        version: event.image.as_ref().map(|image| image.version.clone()),
        reason: event.reason,
        message: event.message,
        done: event.progress.map(|progress| progress.done),
        total: event.progress.and_then(|progress| progress.total),
        bytes_per_second: None,
    };
    if works.len() < MOST || works.contains_key(&key) {
        works.insert(key, work);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::api::Kind;
    use crate::events::{Object, Progress};

    #[test]
    fn work_is_there_from_its_first_event_to_its_last() {
        let mut works = Works::new();
        let event = |reason: Option<&str>, done| Event {
            object: Some(Object { kind: Kind::Image, namespace: "n".to_owned(), name: "i".to_owned() }),
            reason: reason.map(str::to_owned),
            progress: Some(Progress { done, total: Some(10) }),
            ..Event::new(Uuid::nil(), EventType::Download, Phase::Progress)
        };
        let shown = |works: &Works| works.values().map(|work| work.done).collect::<Vec<_>>();
        take(&mut works, event(None, 1));
        take(&mut works, event(None, 5));
        assert_eq!(shown(&works), [Some(5)]);
        take(&mut works, Event { phase: Phase::After, ..event(None, 6) });
        assert_eq!(shown(&works), [Some(5)], "only progress counts");
        take(&mut works, event(Some("ChecksumMismatch"), 10));
        assert!(works.is_empty());
    }
}
