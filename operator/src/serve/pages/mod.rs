//! The web pages: what is subscribed, trusted, cached, published and late, and any version that is here to download.
//!
//! They only read. A page is made from the stored resources, the records on the volume and the running work, in a thread
//! of its own, and few pages are made at the same time. They have a socket of their own: it needs another guard than the
//! figures for Prometheus have, and slow readers of images must not take the connections of probes.

mod answer;
mod assets;
mod checks;
mod clouds;
mod endorsers;
mod events;
mod frame;
mod guard;
mod health;
mod history;
mod image;
mod images;
mod live;
mod login;
mod overview;
mod query;
mod refused;
mod routes;
mod running;
mod script;
mod session;
mod shown;
mod site;
mod stored_lists;
mod subscription;
mod subscriptions;
#[cfg(test)]
mod tests;
mod token;
mod version;
mod withheld;

use std::sync::{Arc, OnceLock};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub use guard::{Guard, GuardError};
pub use routes::pages_router;
use site::Site;
pub use token::TokenError;

use crate::reconcile::Context;
use crate::store::ResourceStore;

/// Pages that are made at the same time.
const PAGES: usize = 2;
/// Streams of live figures at the same time. A browser without one shows the state of its last load.
const STREAMS: usize = 64;

/// Gives out the program that the pages are about, while another owner keeps it alive.
type Door = Box<dyn Fn() -> Option<Arc<dyn Site>> + Send + Sync>;

/// The pages of one program. Cheap to clone.
#[derive(Clone)]
pub struct Pages {
    door: Arc<OnceLock<Door>>,
    turns: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    live: Arc<live::Recent>,
    checks: Arc<checks::Checks>,
    ending: CancellationToken,
}

impl Default for Pages {
    fn default() -> Self {
        Self {
            door: Arc::default(),
            turns: Arc::new(Semaphore::new(PAGES)),
            streams: Arc::new(Semaphore::new(STREAMS)),
            live: Arc::default(),
            checks: Arc::default(),
            ending: CancellationToken::new(),
        }
    }
}

crate::text::opaque!(Pages, "Pages");

impl Pages {
    /// From now on the pages are about this context, while another owner keeps it alive. Only the first call has an
    /// effect.
    pub fn watch<S: ResourceStore>(&self, context: &Arc<Context<S>>) {
        let context = Arc::downgrade(context);
        self.door.get_or_init(|| Box::new(move || context.upgrade().map(|context| context as Arc<dyn Site>)));
    }

    /// Ends the streams of live figures, which would not end by themselves.
    pub fn end_streams(&self) {
        self.ending.cancel();
    }

    /// The program; `None` while it waits for its turn, and when it ends.
    fn site(&self) -> Option<Arc<dyn Site>> {
        self.door.get().and_then(|door| door())
    }
}
