//! Whom a site believes, over the years and in an hour of need.

use harness::opennebula::{Cloud, Dialect, ONEADMIN};
use serde_json::json;
use vmcatcher_operator::api::{CachedImage, Endorser, ImageListSubscription};

use super::clouds::{log_in, target};
use super::publisher::{HOST_2026, HOST_2027, entry, serve};
use super::{ONE, TWO, Task};

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn an_endorser_renews_its_certificate() {
    let task = Task::new().await;
    let site = &task.tenant.site;
    let images = ["1.0", "2.0", "3.0"].map(|version| serve(site, ONE, version));
    let entry = |place: usize| entry(&images[place], &json!({}));
    task.publish(&task.list("1.0").raw_image(entry(0)));
    task.example("every-linux-image").apply();
    task.has(ONE, "1.0").await;

    // Signed with the renewed one before the site knows it: refused, and nothing goes.
    task.publish_as(&task.list_of("2.0", &HOST_2027).raw_image(entry(1)), &HOST_2027);
    task.request("vo-wide", "now");
    task.says::<ImageListSubscription>("vo-wide", "SourceVerified", "False EndorserNotTrusted").await;
    assert_eq!(task.shelf("endorsed"), [images[0].entry()]);

    let example = task.example("endorser-renewal");
    example.apply();
    task.has(ONE, "2.0").await;
    let followed: ImageListSubscription = task.says("vo-wide", "SourceVerified", "True Verified").await;
    let signer = followed.status.unwrap().list.unwrap().signers.remove(0);
    assert_eq!((signer.endorser.as_str(), signer.credential.as_str()), ("egi-appdb", "host-2027"));
    let seen = |endorser: Option<&Endorser>| {
        let credentials =
            endorser.and_then(|object| object.status.as_ref()).map(|status| status.credentials.as_slice());
        credentials.unwrap_or_default().iter().any(|known| known.name == "host-2027" && known.last_seen_time.is_some())
    };
    task.until("egi-appdb", "telling that the renewed one signs", seen).await;

    // The old entry is taken away: it can sign nothing new (nobody says any more that a host certificate will do), and
    // what is in force stays.
    let old = "    - name: host-2026\n      x509:\n        subject: /DC=EU/DC=EGI/C=NL/O=Hosts/O=EGI.eu/CN=appdb.egi.eu\n        \
               issuer: /DC=ORG/DC=SEE-GRID/CN=SEE-GRID CA 2013\n        purpose: Any\n";
    example.with(old, "").apply();
    task.publish_as(&task.list_of("3.0", &HOST_2026).raw_image(entry(2)), &HOST_2026);
    task.request("vo-wide", "again");
    task.says::<ImageListSubscription>("vo-wide", "SourceVerified", "False PurposeMismatch").await;
    assert_eq!(task.shelf("endorsed"), [images[1].entry()]);
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn an_endorser_is_compromised_now() {
    let task = Task::new().await;
    let site = &task.tenant.site;
    let cloud = Cloud::start(Dialect::V7_4);
    log_in(&task, &cloud, "one-auth");
    target(&task, &cloud, "main");
    let images = [ONE, TWO].map(|identifier| serve(site, identifier, "1.0"));
    let list = task.list("1.0").raw_image(entry(&images[0], &json!({}))).raw_image(entry(&images[1], &json!({})));
    task.publish(&list);
    task.example("every-linux-image").apply();
    let targets = r#"{"spec": {"targetRefs": [{"name": "main"}], "removalLimit": {"percent": 0, "free": 0}}}"#;
    task.kubectl(&["patch", "ils", "vo-wide", "--type=merge", "-p", targets]);
    task.says::<CachedImage>(ONE, "Published", "True Published").await;
    task.says::<CachedImage>(TWO, "Published", "True Published").await;

    // Hold first: what is there stays, whatever is asked.
    let hold = r#"{"spec": {"trust": "Hold"}}"#;
    task.kubectl(&["patch", "endorser", "egi-appdb", "--type=merge", "-p", hold]);
    task.says::<ImageListSubscription>("vo-wide", "SourceVerified", "False EndorserOnHold").await;
    assert_eq!(task.shelf("endorsed").len(), 2);

    // Everything that holds other removals back: a limit, keepUntil, suspend, and an interval of hours.
    let keep = r#"{"spec": {"keepUntil": "2099-01-01T00:00:00Z", "suspend": true}}"#;
    task.kubectl(&["patch", "cimg", ONE, "--type=merge", "-p", keep]);
    task.kubectl(&["patch", "ils", "vo-wide", "--type=merge", "-p", r#"{"spec": {"suspend": true}}"#]);
    let before = task.asked();
    task.example("endorser-compromised").run("kubectl patch");
    task.says::<ImageListSubscription>("vo-wide", "Ready", "False EndorserRevoked").await;
    for identifier in [ONE, TWO] {
        let gone = |image: Option<&CachedImage>| {
            let status = image.and_then(|image| image.status.as_ref());
            status.is_none_or(|status| status.artifact.is_none() && status.targets.iter().all(|at| at.id.is_none()))
        };
        task.until(identifier, "out everywhere", gone).await;
    }
    assert_eq!(task.shelf("endorsed"), [""; 0]);
    assert_eq!(task.asked(), before, "nobody had to be asked for it");
    cloud.world(|world| {
        assert!(world.find(ONE, ONEADMIN).is_none() && world.find(TWO, ONEADMIN).is_none(), "{:?}", world.images);
        assert!(world.images.values().all(|image| image.permissions == 0o700), "{:?}", world.images);
    });
    // The manifest says the same as the command.
    assert!(task.example("endorser-compromised").apply().contains("configured"));
    task.says::<ImageListSubscription>("vo-wide", "Ready", "False EndorserRevoked").await;
}
