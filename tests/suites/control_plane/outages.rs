//! An API server that goes away while the program works, forgets, or has too much to do.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use harness::control_plane::ControlPlane;
use harness::image_server::Resource;
use harness::patience::{PATIENCE, until};

use super::operator::{Operator, Tenant};
use super::proxy::Proxy;

const TWO: &str = "aaaaaaaa-0ca2-473f-89d3-d5bdfc51968e";
const ONE: &str = "858a817e-0ca2-473f-89d3-d5bdfc51968e";

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn a_download_outlives_the_api_server() {
    const SIZE: u64 = 4_000_000;
    let plane = ControlPlane::start().await;
    let tenant = Tenant::new(&plane, "outage").await;
    let slow = Resource::pattern(1, SIZE).etag("\"one\"").rate(SIZE / 8);
    let image = tenant.site.serve_as(ONE, "1.0", slow);
    tenant.site.publish(&tenant.site.list("1.0", &[&image]));
    tenant.apply();
    let operator = tenant.start();
    let path = format!("/{ONE}-1.0.img");
    tenant.site.server.wait_for(&path, 1, SIZE / 8);
    plane.stop_api();
    tenant.site.server.wait_for(&path, 1, SIZE);
    plane.start_api();
    let back = tokio::time::timeout(PATIENCE, tenant.all_ready("1.0"));
    back.await.expect("it converges");
    assert_eq!(tenant.shelf("endorsed"), [image.entry()]);
    assert_eq!(tenant.site.server.bytes_sent(&path), SIZE, "nothing is downloaded twice");
    let (ended, _) = operator.stop();
    assert!(ended.success(), "{ended}");
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn a_download_outlives_etcd() {
    const SIZE: u64 = 4_000_000;
    let plane = ControlPlane::start().await;
    let tenant = Tenant::new(&plane, "outage").await;
    let image = tenant.site.serve_as(ONE, "1.0", Resource::pattern(1, SIZE).etag("\"one\"").rate(SIZE / 8));
    tenant.site.publish(&tenant.site.list("1.0", &[&image]));
    tenant.apply();
    let _operator = tenant.start();
    let path = format!("/{ONE}-1.0.img");
    tenant.site.server.wait_for(&path, 1, SIZE / 8);
    plane.stop_etcd();
    tenant.site.server.wait_for(&path, 1, SIZE);
    plane.start_etcd();
    tenant.all_ready("1.0").await;
    assert_eq!(tenant.shelf("endorsed"), [image.entry()]);
    assert_eq!(tenant.site.server.bytes_sent(&path), SIZE, "nothing is downloaded twice");
}

/// While the program is stopped its watches break, the server forgets what it was watching since (410 Gone), and objects
/// come and go. It lists anew: what is gone is left alone, and its download ends.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: tests/run makes one"]
async fn what_comes_and_goes_while_nobody_watches_is_seen() {
    const SIZE: u64 = 60_000_000;
    let plane = ControlPlane::start().await;
    let tenant = Tenant::new(&plane, "gone").await;
    let slow = tenant.site.serve_as(ONE, "1.0", Resource::pattern(1, SIZE).etag("\"one\"").rate(SIZE / 120));
    let quick = tenant.site.serve(TWO, "1.0", 2, 30_000);
    tenant.site.publish(&tenant.site.list("1.0", &[&slow]));
    tenant.apply();
    let operator = tenant.start();
    let path = format!("/{ONE}-1.0.img");
    tenant.site.server.wait_for(&path, 1, SIZE / 120);
    operator.pause();
    plane.stop_api();
    plane.start_api();
    tenant.kubectl(&["delete", "ils", "vo", "--timeout=60s"]);
    tenant.image_until(ONE, "its image gone", |image| image.is_none()).await;
    tenant.site.publish(&tenant.site.list("1.1", &[&quick]));
    tenant.apply();
    plane.compact();
    operator.resume();
    operator.tells("too old resource version").await;
    tenant.all_ready("1.1").await;
    assert_eq!(tenant.shelf("endorsed"), [quick.entry()]);
    let sent = tokio::time::timeout(PATIENCE, sent_in_the_end(&tenant, &path)).await.expect("nobody wants it any more");
    assert!(sent < SIZE, "{sent}");
}

/// What has been sent for a path once nothing more is.
async fn sent_in_the_end(tenant: &Tenant<'_>, path: &str) -> u64 {
    loop {
        let before = tenant.site.server.bytes_sent(path);
        tokio::time::sleep(Duration::from_secs(2)).await;
        if tenant.site.server.bytes_sent(path) == before {
            return before;
        }
    }
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn an_api_server_that_is_too_busy_is_asked_again() {
    let tenant = Tenant::new(ControlPlane::shared().await, "busy").await;
    let proxy = Proxy::start(tenant.plane).await;
    let image = tenant.site.serve(ONE, "1.0", 1, 30_000);
    tenant.site.publish(&tenant.site.list("1.0", &[&image]));
    tenant.site.subscribe("deletionPolicy: Retire");
    tenant.apply();
    // Lists, watches, finalizers, the making of images, their status and events: each is refused a few times.
    proxy.answer(Method::GET, "/imagelistsubscriptions", StatusCode::TOO_MANY_REQUESTS, 2);
    proxy.answer(Method::GET, "/cachedimages", StatusCode::INTERNAL_SERVER_ERROR, 2);
    proxy.answer(Method::GET, "/endorsers", StatusCode::GONE, 2);
    proxy.answer(Method::PATCH, "/imagelistsubscriptions/vo", StatusCode::CONFLICT, 2);
    proxy.answer(Method::PATCH, "/imagelistsubscriptions/vo/status", StatusCode::TOO_MANY_REQUESTS, 2);
    proxy.answer(Method::PATCH, ONE, StatusCode::TOO_MANY_REQUESTS, 2);
    proxy.answer(Method::PATCH, "858a817e-0ca2-473f-89d3-d5bdfc51968e/status", StatusCode::CONFLICT, 2);
    proxy.answer(Method::POST, "/events", StatusCode::INTERNAL_SERVER_ERROR, 1);
    let kubeconfig = proxy.kubeconfig(&tenant.site.path("proxy.kubeconfig"));
    let operator = Operator::start(&kubeconfig, &tenant.site, &tenant.namespace);
    tenant.all_ready("1.0").await;
    assert_eq!(proxy.left(), 0);
    assert_eq!(tenant.shelf("endorsed"), [image.entry()]);
    let requests = tenant.site.server.requests(&format!("/{ONE}-1.0.img"));
    assert_eq!(requests.len(), 1, "what the server refused to write was still done once");
    assert!(operator.told().contains("an event could not be published"), "{}", operator.told());
}

/// A list that never comes holds the work up, for nothing may be judged by a part of what there is; so it is asked for
/// again, and people can see what is missing.
#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn a_list_that_does_not_come_is_asked_for_again() {
    let tenant = Tenant::new(ControlPlane::shared().await, "silent").await;
    let proxy = Proxy::start(tenant.plane).await;
    let image = tenant.site.serve(ONE, "1.0", 1, 30_000);
    tenant.site.publish(&tenant.site.list("1.0", &[&image]));
    tenant.apply();
    proxy.hold(Method::GET, "/cachedimages");
    let kubeconfig = proxy.kubeconfig(&tenant.site.path("proxy.kubeconfig"));
    let arguments = Operator::arguments(&tenant.site, &tenant.namespace, &["--listen", "127.0.0.1:0"]);
    let operator = Operator::start_with(&kubeconfig, &tenant.site, &arguments);
    operator.tells("started; waiting for the first list of Endorser, ImageListSubscription, CachedImage").await;
    let waiting = format!("waiting for the first list of CachedImage in namespace {}", tenant.namespace);
    let ready = format!("{}/readyz", operator.listens().await);
    readiness(&ready, 503, &waiting).await;
    proxy.hold_no_more();
    operator.tells("the API server sent no list; it is asked for again").await;
    tenant.all_ready("1.0").await;
    readiness(&ready, 200, "ready").await;
    assert!(operator.told().contains("everything has been listed once; the work begins"), "{}", operator.told());
}

/// Waits until this is said of the program's readiness.
async fn readiness(address: &str, status: u16, expected: &str) {
    until(&format!("{status} {expected}"), async || {
        let answer = reqwest::get(address).await.unwrap();
        answer.status() == status && answer.text().await.unwrap().trim_end() == expected
    })
    .await;
}
