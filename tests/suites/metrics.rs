//! Health and metrics: of the program itself, over HTTP, and the page that explains them.

mod alerts;
mod labels;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use harness::open_metrics::{Family, parse, parse_text};
use harness::opennebula::{Cloud, Dialect};
use harness::site::Site;
use vmcatcher_operator::metrics::Work;
use vmcatcher_operator::serve::{Exposition, Monitor};

use crate::reconcile::process::Running;

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const B: &str = "aaaaaaaa-0000-4000-8000-000000000002";
/// As Prometheus asks.
const OPEN_METRICS: &str = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";

struct Watched {
    running: Running,
    base: String,
    client: reqwest::Client,
}

impl Watched {
    fn start(site: &Site) -> Self {
        Self::start_with(site, &[])
    }

    fn start_with(site: &Site, more: &[&str]) -> Self {
        let mut running = Running::start_with(site, &[&["--listen", "127.0.0.1:0"], more].concat());
        let line = running.wait_for("health and metrics are served");
        let base = format!("http://{}", line.rsplit_once("address=").unwrap().1.trim());
        Self { running, base, client: reqwest::Client::new() }
    }

    async fn get(&self, path: &str) -> (u16, String, String) {
        self.get_as(path, None).await
    }

    async fn get_as(&self, path: &str, accept: Option<&str>) -> (u16, String, String) {
        let request = self.client.get(format!("{}{path}", self.base));
        let request = accept.into_iter().fold(request, |request, accept| request.header("Accept", accept));
        let answer = request.send().await.unwrap();
        let kind = answer.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
        (answer.status().as_u16(), kind.unwrap_or_default(), answer.text().await.unwrap())
    }

    async fn figures(&self) -> BTreeMap<String, Family> {
        let (status, kind, text) = self.get_as("/metrics", Some(OPEN_METRICS)).await;
        assert_eq!((status, kind.as_str()), (200, "application/openmetrics-text; version=1.0.0; charset=utf-8"));
        parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    /// Waits until nothing is wrong with the figures.
    async fn until(&self, wrong: impl Fn(&BTreeMap<String, Family>) -> Option<String>) {
        let mut last = None;
        let found = async {
            loop {
                last = wrong(&self.figures().await);
                if last.is_none() {
                    return;
                }
            }
        };
        let result = tokio::time::timeout(Duration::from_mins(1), found).await;
        result.unwrap_or_else(|_| panic!("the figures do not become as they should be: {last:?}"));
    }
}

/// A site with two images, one of which is not there, and a cloud.
pub(crate) fn site(cloud: &Cloud) -> Site {
    let site = Site::new();
    let (good, gone) = (site.serve(A, "1", 1, 50_000), site.serve(B, "1", 2, 50_000));
    site.publish(&site.list("1.0", &[&good, &gone]));
    site.server.put(&format!("/{B}-1.img"), harness::image_server::Resource::status(404));
    site.manifest(
        "target",
        &format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: one-auth}}\nstringData: {{one_auth: \"oneadmin:opennebula-test\"}}\n---\n\
             apiVersion: vmcatcher.io/v1alpha1\nkind: CloudTarget\nmetadata: {{name: one}}\nspec:\n  type: OpenNebula\n  openNebula:\n    \
             endpoint: {}\n    secretRef: {{name: one-auth}}\n    datastore: default\n    handOver: {{type: Path, path: {{prefix: /var/tmp}}}}\n",
            cloud.endpoint()
        ),
    );
    site.subscribe("targetRefs: [{name: one}]");
    site
}

/// The first of the figures that is not what the site of [`site`] comes to.
fn wrong(figures: &BTreeMap<String, Family>) -> Option<String> {
    let exactly = |value: f64| value - 0.5..=value + 0.5;
    let at_least = |value: f64| value..=f64::MAX;
    let condition = |kind, name, what| {
        let labels = vec![("kind", kind), ("name", name), ("type", what), ("status", "True")];
        ("vmcatcher_resource_condition", labels, exactly(1.0))
    };
    let now = f64::from(i32::try_from(jiff::Timestamp::now().as_second()).unwrap());
    let expected = [
        condition("CachedImage", A, "Published"),
        condition("ImageListSubscription", "vo", "Ready"),
        condition("Endorser", "endorser", "Ready"),
        ("vmcatcher_list_images", vec![("name", "vo"), ("state", "selected")], exactly(2.0)),
        ("vmcatcher_list_created_timestamp_seconds", vec![("name", "vo")], 1.0..=now),
        ("vmcatcher_list_expires_timestamp_seconds", vec![("name", "vo")], at_least(now + 1.0)),
        ("vmcatcher_signer_expires_timestamp_seconds", vec![("name", "endorser")], at_least(now + 1.0)),
        ("vmcatcher_fetched_bytes", vec![("what", "image")], at_least(50_000.0)),
        ("vmcatcher_fetched_bytes", vec![("what", "list")], at_least(1_000.0)),
        ("vmcatcher_retries", vec![("what", "image"), ("reason", "HTTPError")], at_least(1.0)),
        ("vmcatcher_cloud_calls", vec![("method", "one.image.allocate"), ("outcome", "Succeeded")], at_least(1.0)),
        ("vmcatcher_target_images", vec![("name", "one")], exactly(1.0)),
        ("vmcatcher_volume_used_bytes", vec![("what", "endorsed")], at_least(50_000.0)),
        ("vmcatcher_volume_free_bytes", vec![], at_least(1.0)),
        ("vmcatcher_sync_lag_seconds", vec![("name", "vo")], at_least(0.0)),
        ("process_cpu_seconds", vec![], at_least(0.001)),
        ("process_resident_memory_bytes", vec![], 1e6..=1e9),
        ("process_virtual_memory_bytes", vec![], at_least(1e6)),
        ("process_open_fds", vec![], 4.0..=1e4),
        ("process_max_fds", vec![], at_least(64.0)),
        ("process_start_time_seconds", vec![], now - 600.0..=now + 1.0),
    ];
    for (name, labels, values) in expected {
        let value = figures.get(name).and_then(|family| family.value(&labels));
        if !value.is_some_and(|value| values.contains(&value)) {
            return Some(format!("{name}{labels:?} is {value:?}, expected {values:?}"));
        }
    }
    let next_updates = figures.get("vmcatcher_crl_next_update_timestamp_seconds");
    if next_updates.is_none_or(|family| family.samples.iter().any(|crl| crl.value <= now)) {
        return Some(format!("CRLs: {next_updates:?}"));
    }
    let durations = figures.get("vmcatcher_reconcile_duration_seconds").map_or(0, |family| family.samples.len());
    (durations <= 60).then(|| format!("four kinds were looked at, with the samples of some: {durations}"))
}

#[tokio::test]
async fn figures_tell_how_things_stand_and_what_was_done() {
    let cloud = Cloud::start(Dialect::V7_4);
    let site = site(&cloud);
    let mut watched = Watched::start(&site);
    // What lies on the volume is looked at once a minute: not before the image is there.
    watched.running.wait_for("ImagePublished");
    watched.until(wrong).await;

    // What is gone leaves nothing behind.
    site.forget("subscription-vo");
    site.forget("target");
    let left = |figures: &BTreeMap<String, Family>| {
        let mut samples = figures.values().flat_map(|family| &family.samples);
        let of_no_one = |name: &String| name != "endorser";
        samples.find(|sample| sample.labels.get("name").is_some_and(of_no_one)).map(|sample| format!("{sample:?}"))
    };
    watched.until(left).await;
    assert!(watched.running.terminate().success());
}

#[tokio::test]
async fn health_is_told_and_a_volume_that_goes_is_no_health() {
    let site = Site::new();
    let image = site.serve(A, "1", 1, 50_000);
    site.publish(&site.list("1.0", &[&image]));
    let mut watched = Watched::start(&site);
    watched.running.wait_for("ImageDownloaded");
    assert_eq!(watched.get("/healthz").await.0, 200);
    assert_eq!((watched.get("/readyz").await.0, watched.get("/nothing").await.0), (200, 404));
    std::fs::rename(site.path("volume"), site.path("elsewhere")).unwrap();
    let (status, _, text) = watched.get("/readyz").await;
    assert_eq!(status, 503, "{text}");
    assert!(text.contains("volume"), "{text}");
    assert_eq!(watched.get("/healthz").await.0, 200, "starting again would not bring it back");
    parse_text(&watched.get("/metrics").await.2).unwrap();
    std::fs::rename(site.path("elsewhere"), site.path("volume")).unwrap();
    assert_eq!(watched.get("/readyz").await.0, 200);
    assert!(watched.running.terminate().success());
}

/// `name` and labels of each row of the page's table.
fn explained() -> BTreeMap<String, BTreeSet<String>> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let page = std::fs::read_to_string(page).unwrap();
    let word = |text: &str| text.trim().trim_matches('`').to_owned();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('|'));
    let rows = rows.filter(|(name, _)| name.starts_with("vmcatcher_") || name.starts_with("process_"));
    let labels = |rest: &str| {
        let cell = rest.split('|').next().unwrap_or_default();
        cell.split(',').map(word).filter(|label| !label.is_empty()).collect::<BTreeSet<_>>()
    };
    rows.map(|(name, rest)| (word(name), labels(rest))).collect()
}

/// The configuration of a sink that cannot deliver: the directory of its file does not exist.
fn sink_that_fails(site: &Site) -> PathBuf {
    let (config, events) = (site.path("config.yaml"), site.path("nowhere/events.jsonl"));
    let text = format!("events: {{sinks: [{{name: log, file: {{path: \"{}\"}}}}]}}\n", events.display());
    std::fs::write(&config, text).unwrap();
    config
}

#[tokio::test]
async fn every_metric_is_explained_with_its_labels() {
    let monitor = Monitor::default();
    let metrics = monitor.metrics();
    metrics.fetched(Work::List, 1);
    metrics.retried(Work::Cloud, "CloudUnreachable");
    drop(metrics.pass("Endorser"));
    metrics.request(&http::Method::GET, Some(200));
    metrics.call("one.imagepool.info", "Succeeded");
    metrics.served(200);
    let counted = parse(&monitor.text(Exposition::OpenMetrics, jiff::Timestamp::now()).unwrap()).unwrap();

    let cloud = Cloud::start(Dialect::V7_4);
    let site = site(&cloud);
    site.subscribe_to("gone", &site.server.url("/gone.list"), "");
    let config = sink_that_fails(&site);
    let mut watched = Watched::start_with(&site, &["--config", config.to_str().unwrap()]);
    watched.running.wait_for("ImagePublished");
    let failures = [("sink", "log"), ("reason", "FileUnusable")];
    let failed = |figures: &BTreeMap<String, Family>| {
        figures.get("vmcatcher_event_sink_errors").and_then(|family| family.value(&failures)).is_some()
    };
    watched.until(|figures| (!failed(figures)).then(|| "no delivery has failed".to_owned())).await;
    let shown = watched.figures().await;
    assert!(watched.running.terminate().success());
    let suffix = |family: &Family| match family.kind.as_str() {
        "counter" => "_total",
        "info" => "_info",
        _ => "",
    };
    let all = counted.iter().chain(&shown);
    let all: BTreeMap<_, _> =
        all.map(|(name, family)| (format!("{name}{}", suffix(family)), family.labels())).collect();
    assert_eq!(explained(), all);
    assert!(all.len() > 20 && shown.values().all(|family| family.help.len() > 5));
}

#[tokio::test]
async fn the_text_format_is_shown_unless_open_metrics_is_asked_for() {
    let cloud = Cloud::start(Dialect::V7_4);
    let site = site(&cloud);
    let mut watched = Watched::start(&site);
    watched.running.wait_for("ImagePublished");
    let shown = watched.figures().await;
    for accept in [None, Some("*/*"), Some("text/plain"), Some("text/html,*/*;q=0.8")] {
        let (status, kind, text) = watched.get_as("/metrics", accept).await;
        assert_eq!((status, kind.as_str()), (200, "text/plain; version=0.0.4; charset=utf-8"), "{accept:?}");
        let read = parse_text(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(read.keys().collect::<Vec<_>>(), shown.keys().collect::<Vec<_>>());
        alerts::promtool(&["check", "metrics"], Some(&text));
    }
    assert!(watched.running.terminate().success());
}
