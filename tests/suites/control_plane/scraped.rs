//! What a real Prometheus that scrapes the program has: data for every query of the dashboard, and for every alert.

use std::collections::BTreeSet;

use harness::control_plane::ControlPlane;
use harness::disk_image::qcow2;
use harness::image_server::Resource;
use harness::opennebula::{Cloud, Dialect};
use harness::patience::{found, until};
use serde_json::Value;

use super::chart::workspace;
use super::operator::{Operator, Tenant};
use super::prometheus::Prometheus;

const GOOD: &str = "858a817e-0ca2-473f-89d3-d5bdfc51968e";
const GONE: &str = "aaaaaaaa-0ca2-473f-89d3-d5bdfc51968e";
const JOB: &str = "vmcatcher";

fn read(name: &str) -> String {
    std::fs::read_to_string(workspace().join("charts/vmcatcher-operator/files").join(name)).unwrap()
}

/// The rules as the chart fills them in. No volume has so much free space, so that alert has a cause.
fn rules() -> String {
    let free = "9000000000000000000";
    read("alerts.yaml")
        .replace("$job", JOB)
        .replace("$freeBytes", free)
        .replace("$runbookURL", "https://docs.example.org")
}

/// The dashboard's queries, with the job that a person chose.
fn queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&read("dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    targets.map(|target| target["expr"].as_str().unwrap().replace("$job", JOB)).collect()
}

/// The names of the figures in an expression.
fn names(expression: &str) -> impl Iterator<Item = &str> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("vmcatcher_") || word.starts_with("process_"))
}

/// A site where something works and something fails: an image is published, another is not there, a list cannot be
/// fetched, an Endorser is trusted no more, and a sink cannot write its file.
fn faults(tenant: &Tenant<'_>, cloud: &Cloud) -> Operator {
    cloud.world(|world| world.reads(&tenant.site.path("volume")));
    tenant.publishes_to(cloud);
    let disk = Resource::bytes(qcow2(1 << 30, b"good"));
    let images = [tenant.site.serve_as(GOOD, "1", disk), tenant.site.serve(GONE, "1", 2, 20_000)];
    tenant.site.publish(&tenant.site.list("1.0", &[&images[0], &images[1]]));
    tenant.site.server.put(&format!("/{GONE}-1.img"), Resource::status(404));
    tenant.site.subscribe("targetRefs: [{name: one}]");
    tenant.site.subscribe_to("gone", &tenant.site.server.url("/gone.list"), "");
    let revoked = "apiVersion: vmcatcher.io/v1alpha1\nkind: Endorser\nmetadata: {name: untrusted}\n\
                   spec: {credentials: [{name: one, trust: Revoked, x509: {subject: /CN=A, issuer: /CN=B}}]}\n";
    tenant.site.manifest("untrusted", revoked);
    let config = tenant.site.path("config.yaml");
    let nowhere = tenant.site.path("nowhere/events.jsonl");
    let sink = format!("events: {{sinks: [{{name: log, file: {{path: \"{}\"}}}}]}}\n", nowhere.display());
    std::fs::write(&config, sink).unwrap();
    let more = ["--listen", "127.0.0.1:0", "--image-server", "127.0.0.1:0", "--config", config.to_str().unwrap()];
    let arguments = Operator::arguments(&tenant.site, &tenant.namespace, &more);
    Operator::start_with(tenant.plane.kubeconfig(), &tenant.site, &arguments)
}

/// Waits until an expression has data.
async fn has_data(prometheus: &Prometheus, expression: &str) {
    let mut last = None;
    let data = found(async || {
        let result = prometheus.query(expression).await;
        let data = result.as_ref().is_ok_and(|series| !series.is_empty());
        last = Some(result);
        data.then_some(())
    });
    let has = data.await.is_some();
    assert!(has, "{expression}: {last:?}");
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn prometheus_has_data_for_the_dashboard_and_for_each_alert() {
    let tenant = Tenant::new(ControlPlane::shared().await, "scraped").await;
    let cloud = Cloud::start(Dialect::V7_4);
    let operator = faults(&tenant, &cloud);
    tenant.apply();
    let base = operator.listens().await;
    let images = operator.serves_images().await;
    let refused = reqwest::get(format!("{images}/images/no-ticket/a.img")).await.unwrap();
    assert_eq!(refused.status().as_u16(), 403);
    let prometheus = Prometheus::start(JOB, &[base.strip_prefix("http://").unwrap()], &rules());
    tenant.kubectl(&["wait", &format!("cimg/{GOOD}"), "--for=condition=Ready", "--timeout=90s"]);
    for query in queries() {
        has_data(&prometheus, &query).await;
    }
    let alerts: Value = serde_yaml::from_str(&rules()).unwrap();
    let expressions: Vec<&str> =
        alerts[0]["rules"].as_array().unwrap().iter().map(|rule| rule["expr"].as_str().unwrap()).collect();
    let figures: BTreeSet<&str> = expressions.iter().flat_map(|expression| names(expression)).collect();
    for figure in figures {
        has_data(&prometheus, &format!("{figure}{{job=\"{JOB}\"}}")).await;
    }

    // Prometheus evaluates each rule without an error, and those with a cause wait for their time.
    until("all rules are evaluated", async || {
        let rules = prometheus.rules().await;
        rules.len() == expressions.len() && rules.iter().all(|rule| rule["health"] != "unknown")
    })
    .await;
    let waiting = ["VmcatcherNotReady", "VmcatcherVolumeNearlyFull"];
    for name in waiting {
        has_data(&prometheus, &format!("ALERTS{{alertname=\"{name}\", alertstate=\"pending\"}}")).await;
    }
    for rule in prometheus.rules().await {
        assert_eq!(rule["health"], "ok", "{}: {}", rule["name"], rule["lastError"]);
        let calm = ["VmcatcherAbsent", "VmcatcherNotWorking", "VmcatcherStorageFailing", "VmcatcherNotAuthorized"];
        assert!(!calm.iter().any(|name| rule["name"] == *name) || rule["state"] == "inactive", "{rule}");
    }
}
