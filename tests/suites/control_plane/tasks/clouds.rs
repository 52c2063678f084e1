//! Two clouds with ways of their own.

use std::path::Path;

use harness::appliance;
use harness::image_server::Resource as Answer;
use harness::opennebula::{Cloud, Dialect, ONEADMIN};
use harness::site::{Served, told};
use serde_json::{Value, json};
use vmcatcher_operator::api::{CachedImage, CloudTarget};

use super::example::Example;
use super::front::Front;
use super::publisher::entry;
use super::{ONE, TWO, Task};

/// The Secret with the log-in of a stand-in, which sees the site's volume.
pub(super) fn log_in(task: &Task, cloud: &Cloud, secret: &str) {
    sees(task, cloud, &task.tenant.site.path("volume").display().to_string());
    let login = ["--from-literal=username=oneadmin", "--from-literal=password=opennebula-test"];
    task.kubectl(&[&["create", "secret", "generic", secret][..], &login].concat());
}

/// The first of the two targets of the example, alone.
pub(super) fn target(task: &Task, cloud: &Cloud, name: &str) {
    let spec: Value = json!({
        "apiVersion": "vmcatcher.io/v1alpha1", "kind": "CloudTarget", "metadata": {"name": name},
        "spec": {"type": "OpenNebula", "openNebula": {
            "endpoint": cloud.endpoint(), "secretRef": {"name": "one-auth"}, "datastore": "default",
            "handOver": {"type": "Path", "path": {"prefix": task.tenant.site.path("volume")}},
        }}
    });
    let path = task.tenant.site.path("target.json");
    std::fs::write(&path, spec.to_string()).unwrap();
    task.kubectl(&["apply", "-f", path.to_str().unwrap()]);
}

/// The files below a folder, and no others, can be read by the cloud's datastores.
fn sees(task: &Task, cloud: &Cloud, folder: &str) {
    cloud.world(|world| {
        world.clock = task.tenant.site.now().as_second();
        world.reads(Path::new(folder));
    });
}

/// The block cloud: its own authority, user, datastore and groups.
fn block_cloud(task: &Task, folder: &str) -> (Cloud, Front) {
    let cloud = Cloud::start(Dialect::V5_12);
    sees(task, &cloud, folder);
    cloud.world(|world| {
        world.add_user(7, "vmcatcher", "a-password", ONEADMIN);
        world.add_group(101, "atlas-images");
        world.add_group(102, "cms-images");
        let like = world.datastores[&1].clone();
        world.datastores.insert(105, harness::opennebula::Datastore { id: 105, name: "block".to_owned(), ..like });
    });
    let address = cloud.endpoint().trim_start_matches("http://").trim_end_matches("/RPC2").parse().unwrap();
    let front = Front::of(address);
    (cloud, front)
}

/// The example with this site's clouds in it.
fn two_clouds<'t>(task: &'t Task, main: &Cloud, front: &Front, mount: &str) -> Example<'t> {
    let authority = front.authority.trim_end().replace('\n', "\n    ");
    task.example("two-clouds")
        .with("https://one.example.org:2633/RPC2", &main.endpoint())
        .with("https://block.example.org:2633/RPC2", &format!("https://{}/RPC2", front.address))
        .with("oneadmin:replace-me", "oneadmin:opennebula-test")
        .with("password: replace-me", "password: a-password")
        .with("-----BEGIN CERTIFICATE-----\n    replace-me\n    -----END CERTIFICATE-----", &authority)
        .with("/var/lib/vmcatcher", &task.tenant.site.path("volume").display().to_string())
        .with("/mnt/vmcatcher", mount)
}

/// A whole qcow2: it is opened, where a cloud takes raw alone.
fn serve_qcow2(task: &Task, version: &str) -> Served {
    let content = appliance::image(&task.tenant.site.path(""), &appliance::raw(1, 7), "qcow2", "");
    task.tenant.site.serve_as(ONE, version, Answer::bytes(content).etag(&format!("{version:?}")))
}

fn serve_raw(task: &Task, version: &str) -> Served {
    let content = harness::disk_image::raw(version.as_bytes());
    task.tenant.site.serve_as(TWO, version, Answer::bytes(content).etag(&format!("{version:?}")))
}

/// How an image stands at a target, as its status says.
fn at(image: &CachedImage, target: &str) -> String {
    let targets = image.status.as_ref().map(|status| status.targets.as_slice()).unwrap_or_default();
    let found = targets.iter().find(|at| at.name == target);
    told(found.and_then(|at| at.conditions.iter().find(|condition| condition.type_ == "Published")))
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn two_clouds_one_raw_only_with_a_group_per_vo() {
    let task = Task::new().await;
    let site = &task.tenant.site;
    let main = Cloud::start(Dialect::V7_4);
    sees(&task, &main, &site.path("volume").display().to_string());
    // The front-end of the block cloud has the volume elsewhere.
    let mount = site.path("mnt");
    std::os::unix::fs::symlink(site.path("volume"), &mount).unwrap();
    let mount = mount.display().to_string();
    let (block, front) = block_cloud(&task, &mount);
    let (qcow2, raw) = (serve_qcow2(&task, "1.0"), serve_raw(&task, "1.0"));
    let list = |version: &str, raw: &Served| {
        let list = task.list(version).with("ad:vo", json!("atlas")).raw_image(entry(&qcow2, &json!({})));
        list.raw_image(entry(raw, &json!({"hv:format": "raw"})))
    };
    task.publish(&list("1.0", &raw));
    two_clouds(&task, &main, &front, &mount).apply();
    task.says::<CloudTarget>("main", "Ready", "True Succeeded").await;
    task.says::<CloudTarget>("block", "Ready", "True Succeeded").await;
    task.has(TWO, "1.0").await;
    let both: CachedImage = task.says(ONE, "Ready", "True Succeeded").await;
    assert_eq!((at(&both, "main"), at(&both, "block")), ("True Published".into(), "True Published".into()));
    main.world(|world| {
        assert_eq!(world.images.len(), 2);
        assert!(world.images.values().all(|image| image.permissions == 0o600 && image.datastore == 1));
    });
    let first = block.world(|world| {
        assert_eq!(world.images.len(), 2, "{:?}", world.images);
        let converted = world.find(ONE, 7).expect("the converted image");
        assert_eq!(converted.attributes.get("DRIVER").map(String::as_str), Some("raw"));
        let image = world.find(TWO, 7).expect("the raw image").clone();
        assert_eq!((image.gid, image.permissions, image.datastore), (101, 0o640, 105));
        assert_eq!(image.attributes.get("DEV_PREFIX").map(String::as_str), Some("vd"));
        assert!(image.path.starts_with(&mount), "{}", image.path);
        // A person opens it to everybody there.
        world.image(image.id).permissions = 0o644;
        image.id
    });

    let newer = serve_raw(&task, "1.1");
    task.publish(&list("2.0", &newer));
    task.request("atlas", "now");
    task.has(TWO, "1.1").await;
    block.world(|world| {
        let image = world.find(TWO, 7).expect("the newer one");
        assert_eq!((image.gid, image.permissions), (101, 0o644), "what the site made of it is carried over");
        let old = &world.images[&first];
        assert!(image.id != first && old.permissions == 0o700, "{old:?}");
    });

    // An image with targets of its own, then with none.
    task.kubectl(&["patch", "cimg", ONE, "--type=merge", "-p", r#"{"spec": {"targetRefs": [{"name": "main"}]}}"#]);
    task.says::<CachedImage>(ONE, "Ready", "True Succeeded").await;
    task.kubectl(&["patch", "cimg", ONE, "--type=merge", "-p", r#"{"spec": {"targetRefs": []}}"#]);
    task.says::<CachedImage>(ONE, "Published", "True NoTargets").await;
    main.world(|world| assert!(world.find(ONE, ONEADMIN).is_none_or(|image| image.permissions == 0o700)));
}
