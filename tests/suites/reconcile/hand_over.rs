//! Images that clouds pull: the operator's image server and a cloud that really fetches from it.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use harness::image_server::Resource;
use harness::opennebula::{Cloud, Dialect, State};
use harness::site::{Run, Site, told};
use vmcatcher_operator::api::{CloudTarget, HasConditions, ObjectKey};
use vmcatcher_operator::store::ResourceStore;

use super::process::{self, Running};

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";

/// A cloud that reads nothing but what it pulls.
fn cloud(site: &Site) -> Cloud {
    let cloud = Cloud::start(Dialect::V7_4);
    cloud.world(|world| (world.clock, world.any_file) = (site.now().as_second(), None));
    cloud
}

/// A site with one image for that cloud, which pulls from this address.
fn publish(site: &Site, cloud: &Cloud, base: &str) {
    let bytes = harness::disk_image::qcow2(1 << 30, b"pulled");
    site.publish(&site.list("1.0", &[&site.serve_as(A, "1", Resource::bytes(bytes))]));
    site.manifest(
        "target",
        &format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: one-auth}}\nstringData: {{one_auth: \"oneadmin:opennebula-test\"}}\n---\n\
             apiVersion: vmcatcher.io/v1alpha1\nkind: CloudTarget\nmetadata: {{name: one}}\nspec:\n  type: OpenNebula\n  openNebula:\n    \
             endpoint: {}\n    secretRef: {{name: one-auth}}\n    datastore: default\n    handOver: {{type: URL, url: {{base: {base:?}}}}}\n",
            cloud.endpoint()
        ),
    );
    site.subscribe("targetRefs: [{name: one}]");
}

/// An operator with an image server at this address, and the address of it.
fn operator(site: &Site, address: &str) -> (Running, String) {
    let mut running = Running::start_with(site, &["--instance", "site", "--image-server", address]);
    let line = running.wait_for("images are served");
    let address = line.rsplit_once("address=").unwrap().1.trim().to_owned();
    (running, address)
}

/// The calls that the cloud gets from now on.
fn calls(cloud: &Cloud) -> Receiver<String> {
    let (sender, receiver) = channel();
    cloud.watch(move |call, _| {
        let _ = sender.send(call.method.clone());
        None
    });
    receiver
}

fn wait_for_call(calls: &Receiver<String>, expected: &str) {
    while calls.recv_timeout(Duration::from_mins(1)).expect(expected) != expected {}
}

fn target(run: &Run, name: &str) -> String {
    let object = run.directory.get::<CloudTarget>(&ObjectKey::new("default", "one")).expect("the target is there");
    told(object.status.clone().expect("it has a status").condition(name))
}

#[test]
fn a_cloud_pulls_what_the_operator_serves() {
    let site = Site::new();
    let cloud = cloud(&site);
    let (mut running, address) = operator(&site, "127.0.0.1:0");
    publish(&site, &cloud, &format!("http://{address}/"));
    running.wait_for("ImagePublished");
    assert!(running.terminate().success());
    cloud.world(|world| {
        let image = world.find(A, 0).unwrap();
        assert_eq!((image.state, image.format.as_str()), (State::Ready, "qcow2"));
        assert!(image.path.starts_with(&format!("http://{address}/images/")), "{}", image.path);
    });
}

/// An operator that is stopped while the cloud copies an image of it; the address that it had.
fn stopped_while_it_copies(site: &Site, cloud: &Cloud) -> String {
    let (running, address) = operator(site, "127.0.0.1:0");
    cloud.world(|world| world.copy_seconds = Some(100));
    let calls = calls(cloud);
    publish(site, cloud, &format!("http://{address}"));
    wait_for_call(&calls, "one.image.allocate");
    assert!(running.terminate().success());
    address
}

#[test]
fn a_cloud_that_copies_during_a_restart_goes_on_with_the_address_that_it_has() {
    let site = Site::new();
    let cloud = cloud(&site);
    let address = stopped_while_it_copies(&site, &cloud);
    let (mut running, _) = operator(&site, &address);
    // Now it copies.
    cloud.world(|world| world.advance(100));
    running.wait_for("ImagePublished");
    assert!(running.terminate().success());
    assert_eq!(cloud.world(|world| world.images.len()), 1, "it was registered once");
}

#[test]
fn a_ticket_is_not_told_where_a_copy_fails() {
    let site = Site::new();
    let cloud = cloud(&site);
    let address = stopped_while_it_copies(&site, &cloud);
    // Nobody serves it.
    let path = cloud.world(|world| {
        world.advance(100);
        world.images.values().next().unwrap().path.clone()
    });
    let output =
        process::operator(&site, &["--once", "--instance", "site", "--image-server", &address]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = std::fs::read_to_string(site.path(&format!("volume/state/resources/default/cachedimages/{A}.yaml")));
    let told = told.unwrap();
    assert!(told.contains("ImportFailed") && told.contains("/images/…/"), "{told}");
    let ticket = path.split('/').nth(4).unwrap();
    assert!(!told.contains(ticket), "{ticket} in {told}");
}

#[tokio::test]
async fn without_an_image_server_nothing_new_is_handed_over_and_what_is_there_stays() {
    let site = Site::new();
    let cloud = cloud(&site);
    publish(&site, &cloud, "http://127.0.0.1:1");
    let run = site.run().await;
    assert_eq!(run.image_condition(A, "Cached"), "True Succeeded");
    assert_eq!(run.image_condition(A, "Published"), "False NoImageServer");
    assert_eq!(target(&run, "Ready"), "False NoImageServer");
    assert_eq!((target(&run, "Reconciling"), target(&run, "Stalled")), ("True NoImageServer".into(), "absent".into()));

    site.forget("target");
    let (mut running, address) = operator(&site, "127.0.0.1:0");
    publish(&site, &cloud, &format!("http://{address}"));
    running.wait_for("ImagePublished");
    assert!(running.terminate().success());
    let run = site.run().await;
    assert_eq!(run.image_condition(A, "Published"), "True Published");
    assert_eq!(target(&run, "Ready"), "False NoImageServer");
    // What goes out needs no server.
    site.subscribe("targetRefs: []");
    site.run().await;
    assert!(cloud.world(|world| world.named(A).is_empty()));
}
