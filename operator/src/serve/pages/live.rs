//! `/live`: the figures of running work, as server-sent events (WHATWG HTML section 9.2).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use futures::stream::unfold;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::Pages;
use super::query::Query;
use super::running::Live;
use crate::api::ObjectKey;
use crate::serve::plain;
use crate::serve::progress::ProgressPage;

/// How often the figures are looked at.
const EVERY: Duration = Duration::from_secs(1);
/// All streams use figures that are at most this old.
const RECENT: Duration = Duration::from_millis(500);
/// A stream without news sends a comment after this many looks, so that a proxy or a browser keeps it, and a reader that is
/// gone is seen.
const SILENT: u32 = 15;

/// The figures that were last looked at, for all streams.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<Option<(Instant, Arc<ProgressPage>)>>);

impl Recent {
    /// The figures of now; `None` if the program ends or waits for its turn.
    fn get(&self, pages: &Pages) -> Option<Arc<ProgressPage>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, page)) = known.as_ref().filter(|(looked, _)| looked.elapsed() < RECENT) {
            return Some(page.clone());
        }
        let page = Arc::new(pages.site()?.progress());
        *known = Some((Instant::now(), page.clone()));
        Some(page)
    }
}

/// One stream.
struct Stream {
    pages: Pages,
    only: Option<ObjectKey>,
    ticks: Interval,
    sent: Option<Live>,
    silent: u32,
    _permit: OwnedSemaphorePermit,
}

impl Stream {
    /// The next message; `None` when the program ends.
    async fn next(mut self) -> Option<(Result<Bytes, std::convert::Infallible>, Self)> {
        loop {
            tokio::select! {
                () = self.pages.ending.cancelled() => return None,
                _ = self.ticks.tick() => {}
            }
            let pages = self.pages.clone();
            let page = tokio::task::spawn_blocking(move || pages.live.get(&pages)).await.ok()??;
            let live = Live::of(&page, self.only.as_ref());
            if self.sent.as_ref() != Some(&live) {
                // JSON has no line ends, so it is one line of data.
                let message = format!("data: {}\n\n", serde_json::to_string(&live).ok()?);
                (self.sent, self.silent) = (Some(live), 0);
                return Some((Ok(message.into()), self));
            }
            self.silent += 1;
            if self.silent >= SILENT {
                self.silent = 0;
                return Some((Ok(Bytes::from_static(b": nothing new\n\n")), self));
            }
        }
    }
}

/// The stream of all work, or of that on the image that the query names.
pub(super) async fn live(State(pages): State<Pages>, RawQuery(query): RawQuery) -> Response<Body> {
    let Ok(permit) = pages.streams.clone().try_acquire_owned() else {
        return plain(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many pages show live figures; load the page again for its state",
        );
    };
    if pages.site().is_none() {
        return plain(StatusCode::SERVICE_UNAVAILABLE, "the program waits for its turn, or ends");
    }
    let query = Query::read(query.unwrap_or_default().as_bytes());
    let only = query.get("namespace").zip(query.get("name")).map(|(namespace, name)| ObjectKey::new(namespace, name));
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let stream = Stream { pages, only, ticks, sent: None, silent: 0, _permit: permit };
    let mut response = Response::new(Body::from_stream(unfold(stream, Stream::next)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response
}
