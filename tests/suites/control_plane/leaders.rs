//! Several programs on one volume: one leads, the others wait, and what the one began the next one ends.

use std::fs;
use std::time::{Duration, Instant};

use harness::control_plane::ControlPlane;
use harness::image_server::Resource;
use harness::site::Served;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use vmcatcher_operator::cache::Volume;

use super::operator::{Operator, Tenant};

const ONE: &str = "858a817e-0ca2-473f-89d3-d5bdfc51968e";
const TWO: &str = "aaaaaaaa-0ca2-473f-89d3-d5bdfc51968e";
/// From the leader's end to the first write of the next one, at most.
const HAND_OVER: Duration = Duration::from_secs(15);

/// One of several programs on the tenant's volume.
fn start(tenant: &Tenant<'_>) -> Operator {
    let more = ["--leader-election", "--lease-namespace", &tenant.namespace];
    let arguments = Operator::arguments(&tenant.site, &tenant.namespace, &more);
    Operator::start_with(tenant.plane.kubeconfig(), &tenant.site, &arguments)
}

async fn holder(tenant: &Tenant<'_>) -> String {
    let leases: Api<Lease> = Api::namespaced(tenant.client.clone(), &tenant.namespace);
    let lease = leases.get("vmcatcher-operator").await.unwrap();
    lease.spec.unwrap().holder_identity.unwrap_or_default()
}

/// Whether the program has anything of the volume open.
fn has_opened_the_volume(tenant: &Tenant<'_>, operator: &Operator) -> bool {
    let volume = fs::canonicalize(tenant.site.path("volume")).unwrap();
    let open = fs::read_dir(format!("/proc/{}/fd", operator.process())).unwrap();
    open.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok()).any(|path| path.starts_with(&volume))
}

/// A leader that downloads the second of two images, and one that waits.
async fn while_it_downloads() -> (Tenant<'static>, Operator, Operator, Served) {
    const SIZE: u64 = 16_000_000;
    let tenant = Tenant::new(ControlPlane::shared().await, "leaders").await;
    let quick = tenant.site.serve(ONE, "1.0", 1, 300_000);
    let slow = tenant.site.serve_as(TWO, "1.0", Resource::pattern(2, SIZE).etag("\"two\"").rate(SIZE / 8));
    tenant.site.publish(&tenant.site.list("1.0", &[&quick, &slow]));
    tenant.apply();
    let leader = start(&tenant);
    leader.tells("this program leads").await;
    let standby = start(&tenant);
    standby.tells("leads; this program waits").await;
    tenant.image_until(ONE, "the quick image ready", |image| super::operator::ready(image, "1.0")).await;
    tenant.site.server.wait_for(&path(TWO), 1, SIZE / 4);
    assert!(has_opened_the_volume(&tenant, &leader) && !has_opened_the_volume(&tenant, &standby));
    (tenant, leader, standby, slow)
}

fn path(identifier: &str) -> String {
    format!("/{identifier}-1.0.img")
}

/// What the next leader made of it: everything, and nothing twice.
async fn all_is_well(tenant: &Tenant<'_>, slow: &Served) {
    tenant.all_ready("1.0").await;
    assert_eq!(tenant.shelf("endorsed").len(), 2);
    assert_eq!(tenant.site.server.requests(&path(ONE)).len(), 1, "an image that was there is not asked for again");
    let requests = tenant.site.server.requests(&path(TWO));
    let told: Vec<_> = requests.iter().map(|request| (request.range.clone(), request.sent)).collect();
    assert!(requests.len() == 2 && requests[1].range.is_some(), "{told:?}");
    let twice = requests.iter().map(|request| request.sent).sum::<u64>() - slow.size;
    eprintln!("{twice} of {} bytes were sent twice: {told:?}", slow.size);
    assert!(twice <= 2 << 20, "at most what was on its way: {told:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: tests/run makes one"]
async fn a_leader_that_is_killed_is_followed_within_15_seconds() {
    let (tenant, leader, standby, slow) = while_it_downloads().await;
    let (before, killed) = (holder(&tenant).await, Instant::now());
    leader.kill();
    tenant.site.server.wait_for(&path(TWO), 2, 0);
    let (after, first_write) = (holder(&tenant).await, killed.elapsed());
    eprintln!("the next leader went on with the download {:.1} s after the kill", first_write.as_secs_f64());
    assert!(first_write < HAND_OVER, "{first_write:?}");
    assert_ne!(before, after);
    all_is_well(&tenant, &slow).await;
    standby.stop();
    assert_eq!(holder(&tenant).await, "", "who goes in order gives the lease back");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: tests/run makes one"]
async fn a_leader_that_is_told_to_stop_makes_way_at_once() {
    let (tenant, leader, standby, slow) = while_it_downloads().await;
    let asked = Instant::now();
    let (ended, after) = leader.stop();
    assert!(ended.success() && after < Duration::from_secs(30), "{ended} after {after:?}");
    tenant.site.server.wait_for(&path(TWO), 2, 0);
    let first_write = asked.elapsed();
    eprintln!("stopped after {:.1} s, followed after {:.1} s", after.as_secs_f64(), first_write.as_secs_f64());
    assert!(first_write < Duration::from_secs(10), "{first_write:?}");
    all_is_well(&tenant, &slow).await;
    let waiting = start(&tenant);
    waiting.tells("leads; this program waits").await;
    let (ended, after) = waiting.stop();
    assert!(ended.success() && after < Duration::from_secs(5), "one that waits ends at once: {ended} after {after:?}");
    standby.stop();
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn a_leader_that_finds_another_one_ends() {
    let tenant = Tenant::new(ControlPlane::shared().await, "leaders").await;
    let mut leader = start(&tenant);
    leader.tells("this program leads").await;
    let other = r#"{"spec": {"holderIdentity": "another-node_1"}}"#;
    tenant.kubectl(&["patch", "lease", "vmcatcher-operator", "--type=merge", "--patch", other]);
    let ended = leader.ends().await;
    assert!(!ended.success(), "{ended}");
    assert!(leader.told().contains("expected to lead on, found that another-node_1 does"), "{}", leader.told());
    assert_eq!(holder(&tenant).await, "another-node_1");
    Volume::open(&tenant.site.path("volume")).expect("the volume is free");
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn a_program_that_waits_for_the_volume_can_be_stopped() {
    let tenant = Tenant::new(ControlPlane::shared().await, "leaders").await;
    let _held = Volume::open(&tenant.site.path("volume")).unwrap();
    let operator = tenant.start();
    operator.tells("; waiting").await;
    let (ended, after) = operator.stop();
    assert!(ended.success() && after < Duration::from_secs(5), "{ended} after {after:?}");
}
