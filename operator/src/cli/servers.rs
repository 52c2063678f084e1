//! The HTTP servers of a program, and what it needs to serve images.

use std::path::PathBuf;
use std::sync::Arc;

use crate::metrics::Metrics;
use crate::reconcile::ImagePaths;
use crate::serve::{Clock, ImageServer, Listening, Pages, Tickets};

/// The HTTP servers of the program.
pub(super) struct Servers {
    pub(super) images: Option<Listening>,
    pub(super) monitor: Option<Listening>,
    pub(super) pages: Option<(Pages, Listening)>,
}

impl Servers {
    /// Stops the servers. Running responses get some time to finish.
    pub(super) async fn shutdown(self) {
        let pages = self.pages.map(|(pages, listening)| {
            pages.end_streams();
            listening
        });
        for listening in [self.images, self.monitor, pages].into_iter().flatten() {
            listening.shutdown().await;
        }
    }
}

/// Makes the image server: [`ImageServer::new`] or [`ImageServer::of_shards`].
pub(super) type MakeImageServer = fn(PathBuf, Clock, Metrics) -> ImageServer;

/// Makes the paths of images on the image server.
pub(super) fn image_paths(tickets: Tickets) -> ImagePaths {
    Arc::new(move |digest, extension, now| {
        tickets.path(digest, extension, now).map_err(|error| format!("cannot sign an address: {error}"))
    })
}
