//! How many passes a run makes.

use std::sync::Arc;

use harness::image_server::Resource;
use harness::site::{Served, Site};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use vmcatcher_operator::cache::Volume;
use vmcatcher_operator::metrics::Metrics;
use vmcatcher_operator::run::directory::Driver;

const IMAGES: usize = 60;

/// The passes over images so far.
fn passes(metrics: &Metrics) -> usize {
    let mut registry = Registry::default();
    metrics.register(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    let line = text.lines().find(|line| line.starts_with("reconcile_duration_seconds_count{kind=\"CachedImage\"}"));
    line.unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

/// The downloads end one after the other, as those from distant servers do.
#[tokio::test]
async fn the_end_of_a_download_causes_no_passes_over_the_other_images() {
    let site = Site::new();
    let slow = |number: usize| Resource::pattern(number as u64, 2_500).rate(20_000);
    let identifier = |number: usize| format!("aaaaaaaa-0000-4000-8000-{number:012}");
    let served: Vec<Served> = (0..IMAGES).map(|number| site.serve_as(&identifier(number), "1", slow(number))).collect();
    site.publish(&site.list("1.0", &served.iter().collect::<Vec<_>>()));
    let volume = Volume::open(&site.path("volume")).unwrap();
    let context = Arc::new(site.context_over(volume, |directory| directory));
    let settled = Driver::new(context.clone()).once().await.unwrap();
    context.jobs.shutdown().await;
    assert!(settled.errors.is_empty(), "{:?}", settled.errors);
    assert_eq!(site.shelf("endorsed").len(), IMAGES);
    let passes = passes(&context.metrics);
    eprintln!("{passes} passes over {IMAGES} images");
    assert!(passes <= 12 * IMAGES, "{passes} passes");
}
