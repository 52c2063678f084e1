//! Which images of a list a site takes.

use serde_json::json;
use vmcatcher_operator::api::{CachedImage, ImageListSubscription};

use super::publisher::{entry, serve};
use super::{ONE, TWO, Task};

const PLAIN: &str = "aaaaaaaa-0ca2-473f-89d3-d5bdfc51968e";
const OTHER: &str = "bbbbbbbb-0ca2-473f-89d3-d5bdfc51968e";

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn a_list_behind_a_token_and_two_of_its_images() {
    let task = Task::new().await;
    let site = &task.tenant.site;
    let [one, two, other] = [ONE, TWO, OTHER].map(|identifier| serve(site, identifier, "1.0"));
    let (token, password) = ("f7d1-not-for-logs", "x-oauth-basic");
    let first = task.list("1.0").raw_image(entry(&one, &json!({}))).raw_image(entry(&other, &json!({})));
    task.publish_behind_log_in(&first, token, password);
    let example = task.example("two-images-with-token").with("replace-me", token);
    example.apply();
    task.has(ONE, "1.0").await;
    // The other one is not in the list yet, and that is told.
    let missing = |subscription: Option<&ImageListSubscription>| {
        let notes = subscription.and_then(|object| object.status.as_ref()).map(|status| status.notes.as_slice());
        let note = notes.unwrap_or_default().first();
        note.is_some_and(|note| (note.identifier.as_str(), note.reason.as_str()) == (TWO, "NotInList"))
    };
    task.until("atlas", "noting what is missing", missing).await;

    let second = task.list("2.0").raw_image(entry(&one, &json!({}))).raw_image(entry(&two, &json!({})));
    task.publish_behind_log_in(&second, token, password);
    task.request("atlas", "now");
    task.has(TWO, "1.0").await;
    let subscription: ImageListSubscription = task.says("atlas", "ImagesReady", "True Succeeded").await;
    assert!(subscription.status.unwrap().notes.is_empty());
    assert_eq!(task.shelf("endorsed"), [one.entry(), two.entry()]);
    assert_eq!(task.names().await, [ONE, TWO]);
    let asked = site.server.requests("/image.list");
    assert!(asked.iter().all(|request| request.status == 200), "{asked:?}");
    let everything = task.kubectl(&["get", "vmcatcher,events", "-o", "yaml"]);
    assert!(!everything.contains(token) && !task.operator.told().contains(token));

    // What the README shows of a list at hand.
    std::fs::write(site.path("image.list"), second.json()).unwrap();
    let shown = example.run("list show");
    assert!(shown.contains(ONE) && shown.contains(TWO), "{shown}");
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn every_linux_image_that_appears() {
    let task = Task::new().await;
    let site = &task.tenant.site;
    let [one, windows, arm, qemu] = [ONE, TWO, OTHER, PLAIN].map(|identifier| serve(site, identifier, "1.0"));
    let others = |list: harness::list::ListBuilder| {
        list.raw_image(entry(&windows, &json!({"sl:os": "Windows"})))
            .raw_image(entry(&arm, &json!({"sl:arch": "aarch64"})))
    };
    task.publish(&others(task.list("1.0").raw_image(entry(&one, &json!({})))));
    task.example("every-linux-image").apply();
    task.has(ONE, "1.0").await;
    task.says::<ImageListSubscription>("vo-wide", "ImagesReady", "True Succeeded").await;
    assert_eq!(task.shelf("endorsed"), [one.entry()]);

    // A new image comes with the list that brings it; one that is dropped goes.
    let appeared = entry(&qemu, &json!({"sl:os": "linux", "hv:hypervisor": "QEMU,KVM"}));
    task.publish(&others(task.list("2.0").raw_image(appeared)));
    task.request("vo-wide", "now");
    task.has(PLAIN, "1.0").await;
    task.has_no(ONE).await;
    assert_eq!(task.shelf("endorsed"), [qemu.entry()]);
    assert_eq!(task.shelf("expired"), [one.entry()]);
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn one_image_and_one_file_are_kept_out() {
    let task = Task::new().await;
    let site = &task.tenant.site;
    let [named, file, old, stays] = [TWO, PLAIN, ONE, OTHER].map(|identifier| serve(site, identifier, "1.0"));
    let old_system = json!({"sl:osversion": "CentOS 6.10"});
    let list = |version: &str, file: &harness::site::Served| {
        let list = task.list(version).raw_image(entry(&named, &json!({}))).raw_image(entry(file, &json!({})));
        list.raw_image(entry(&old, &old_system)).raw_image(entry(&stays, &json!({})))
    };
    task.publish(&list("1.0", &file));
    // Made by hand, and kept: exclusion wins over both.
    let by_hand = json!({
        "apiVersion": "vmcatcher.io/v1alpha1", "kind": "CachedImage", "metadata": {"name": TWO},
        "spec": {"subscriptionRef": {"name": "vo-wide"}, "identifier": TWO, "keepUntil": "2099-01-01T00:00:00Z"}
    });
    std::fs::write(site.path("by-hand.json"), by_hand.to_string()).unwrap();
    task.kubectl(&["apply", "-f", site.path("by-hand.json").to_str().unwrap()]);
    task.example("every-linux-image").apply();
    task.says::<ImageListSubscription>("vo-wide", "ImagesReady", "True Succeeded").await;
    assert_eq!(task.shelf("endorsed").len(), 4);

    let theirs = "5c548a09467df6ff6ee77659a8cfe15115ef366b94baa30c47e079b711119652a17c8f947ab437e70c799480b4b5dc3d68a3b22581b3318db35dd3364e83dab0";
    task.example("keep-one-out").with(theirs, &file.sha512).apply();
    task.says::<CachedImage>(TWO, "Endorsed", "False Excluded").await;
    task.has_no(ONE).await;
    task.has_no(PLAIN).await;
    assert_eq!(task.shelf("endorsed"), [stays.entry()]);

    // The file was kept out, and not the image.
    let better = serve(site, PLAIN, "1.1");
    task.publish(&list("2.0", &better));
    task.request("vo-wide", "now");
    task.has(PLAIN, "1.1").await;
    task.says::<ImageListSubscription>("vo-wide", "ImagesReady", "True Succeeded").await;
    assert_eq!(task.shelf("endorsed"), [better.entry(), stays.entry()]);
}
