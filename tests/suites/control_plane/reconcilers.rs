//! The reconcilers, within the test: they can be asked what they do later.

use std::sync::Arc;

use harness::site::Site;
use jiff::SignedDuration;
use kube::Client;
use tokio::sync::oneshot;
use vmcatcher_operator::cache::{Scrub, ScrubSettings, Volume};
use vmcatcher_operator::reconcile::Context;
use vmcatcher_operator::run::kubernetes::Driver;
use vmcatcher_operator::store::kubernetes::Kubernetes;

/// The reconcilers of some namespaces, over one volume.
pub(crate) struct Reconcilers {
    pub(crate) context: Arc<Context<Kubernetes>>,
    stop: oneshot::Sender<()>,
    running: tokio::task::JoinHandle<()>,
}

impl Reconcilers {
    /// Starts them for these namespaces, all where none is named. What cannot be retired is abandoned after so long.
    pub(crate) async fn start(
        site: &Site,
        client: &Client,
        namespaces: &[String],
        abandon_after: SignedDuration,
    ) -> Self {
        let volume = Volume::open_waiting(&site.path("volume"), |_| {}).await.unwrap();
        let (cluster, watches) = Kubernetes::new(client.clone(), namespaces);
        let mut context = site.context_over(volume.clone(), |_| cluster);
        context.abandon_after = abandon_after;
        let context = Arc::new(context);
        let (stop, stopped) = oneshot::channel::<()>();
        let driver = Driver::new(context.clone(), watches);
        let running = tokio::spawn(async move {
            let scrub = Scrub::start(volume, ScrubSettings::default());
            driver.keep(&scrub, async { drop(stopped.await) }).await.unwrap();
            scrub.shutdown().await;
        });
        Self { context, stop, running }
    }

    /// Ends them; what they read is forgotten.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        self.running.await.unwrap();
        self.context.jobs.shutdown().await;
    }
}
