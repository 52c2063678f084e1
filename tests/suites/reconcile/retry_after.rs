//! A server that asks for time (`Retry-After`) gets it, whatever kind of source it has.

use harness::image_server::{ImageServer, Resource};
use harness::oci::{Registry as _, ScriptedRegistry};
use harness::site::Site;
use jiff::SignedDuration;
use vmcatcher_operator::api::ObjectKey;
use vmcatcher_operator::cache::Volume;
use vmcatcher_operator::reconcile::subscription::{self, FetchTrigger};

use super::sources::{self, Source};

/// The seconds between the last fetch of the subscription and its next one.
async fn wait_after_a_run(site: &Site) -> i64 {
    let status = site.run().await.subscription("vo");
    assert_eq!(status.fetch_failures, Some(1), "{:?}", status.conditions);
    status.next_fetch_time.unwrap().0.duration_since(status.last_fetch_time.unwrap().0).as_secs()
}

/// One pass of an operator that goes on by itself. Returns whether it asked the server.
async fn asks(site: &Site) -> bool {
    let before = site.server.all_requests().len();
    let volume = Volume::open_waiting(&site.path("volume"), |_| {}).await.unwrap();
    let context = site.context_over(volume, |directory| directory);
    context.store.reload(site.now()).unwrap();
    let key = ObjectKey::new("default", "vo");
    subscription::reconcile(&context, &key, FetchTrigger::WhenDue, site.now()).await.unwrap();
    context.jobs.shutdown().await;
    site.server.all_requests().len() > before
}

#[tokio::test]
async fn the_next_fetch_waits_as_long_as_the_server_asks() {
    for source in sources::all() {
        let Source { kind, site, .. } = &source;
        source.answers(Resource::status(429).header("Retry-After", "900"));
        let wait = wait_after_a_run(site).await;
        assert!((900..=945).contains(&wait), "{kind:?}: {wait}");
        site.pass_time(SignedDuration::from_secs(800));
        assert!(!asks(site).await, "{kind:?}: before its time");
        site.pass_time(SignedDuration::from_secs(200));
        assert!(asks(site).await, "{kind:?}: at its time");
    }
}

/// The wait is bounded: a server cannot stop a subscription for ever. A date is a wait too.
#[tokio::test]
async fn a_server_gets_an_interval_and_no_more() {
    let in_ten_minutes = jiff::Timestamp::now() + SignedDuration::from_mins(10);
    let date = in_ten_minutes.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let table = [
        ("interval: 2h", "4000000000", 7200..=7560),
        ("interval: 5m", "4000000000", 3600..=3780),
        ("interval: 5m", "1", 30..=36),
        ("interval: 5m", "-1", 30..=36),
        ("interval: 5m", "soon", 30..=36),
        ("interval: 2h", &date, 570..=630),
    ];
    for (interval, asked, expected) in table {
        let site = Site::new();
        site.subscribe(interval);
        site.server.put("/image.list", Resource::status(503).header("Retry-After", asked));
        let wait = wait_after_a_run(&site).await;
        assert!(expected.contains(&wait), "{interval}, Retry-After: {asked}: {wait}");
    }
}

/// The server of a registry's tokens may be the one that asks for time.
#[tokio::test]
async fn a_server_of_tokens_gets_its_time_too() {
    let source = sources::repository();
    let tokens = ImageServer::start();
    let registry = ScriptedRegistry::new(&source.site.server, true);
    assert_eq!(registry.host(), source.site.server.address().to_string());
    registry.lock(&format!("Bearer realm=\"{}\",service=\"test\"", tokens.url("/token")), "t0ken");
    tokens.put("/token", Resource::status(429).header("Retry-After", "1200"));
    let wait = wait_after_a_run(&source.site).await;
    assert!((1200..=1260).contains(&wait), "{wait}");
}
