//! A conversion that is cut off, or whose program is killed, is made by the next run; in constant memory.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use harness::appliance::{compressed, fake_qemu_img, image, raw};
use harness::image_server::Resource;
use harness::opennebula::Dialect;
use harness::site::Site;
use jiff::{SignedDuration, Timestamp};
use vmcatcher_operator::cache::{BlobCheck, Volume};

use super::cuts::{cut_everywhere, run_cut};
use super::process::{Running, once, operator, text};
use super::targets::{A, site, target};

/// Sites whose runs are cut at the same time.
const AT_ONCE: usize = 16;

/// Everything on the volume but what tells the time, once a later collection has removed what a cut left behind.
async fn settled_files(site: &Site) -> BTreeSet<String> {
    site.pass_time(SignedDuration::from_hours(2));
    site.run().await;
    site.volume_files().into_keys().filter(|name| !name.starts_with("lists/")).collect()
}

/// A site with an image in the cache, and a cloud that it is to be converted for.
async fn scenario() -> (Site, harness::opennebula::Cloud) {
    let (site, cloud) = site(Dialect::V7_4);
    target(&site, &cloud, "one", "formats: [raw]");
    site.subscribe("");
    let served = site.serve_as(A, "1", Resource::bytes(compressed("gzip", &raw(1, 1))));
    site.publish(&site.list("1.0", &[&served]));
    site.run().await;
    site.subscribe("targetRefs: [{name: one}]");
    (site, cloud)
}

/// Every blob has the digest that its name tells.
fn check_blobs(volume: &Path) {
    let volume = Volume::read_only(volume).unwrap();
    for digest in volume.blobs().unwrap() {
        let check = volume.check_blob(&digest, Timestamp::UNIX_EPOCH).unwrap();
        assert!(matches!(check, Some(BlobCheck::Good(_))), "{check:?}");
    }
}

#[tokio::test]
async fn a_conversion_cut_at_every_step_ends_as_an_undisturbed_one() {
    std::panic::set_hook(Box::new(|_| {})); // the cuts are meant
    let (undisturbed, _cloud) = scenario().await;
    undisturbed.run().await;
    let expected = settled_files(&undisturbed).await;
    assert!(expected.iter().any(|name| name.starts_with("state/conversions/")), "{expected:?}");
    let cuts = cut_everywhere(AT_ONCE, async |step| cut_at(step, &expected).await).await;
    let _ = std::panic::take_hook();
    assert!(cuts > 15, "only {cuts} steps were seen");
}

/// Whether the run was cut at that step; then the next one came to the same end.
async fn cut_at(step: usize, expected: &BTreeSet<String>) -> bool {
    let (site, cloud) = scenario().await;
    if run_cut(&site, step).await {
        return false;
    }
    check_blobs(&site.path("volume"));
    let run = site.run().await;
    let told = run.image_condition(A, "Published");
    let files = settled_files(&site).await;
    let images = cloud.world(|world| world.images.len());
    if (told.as_str(), &files, images) != ("True Published", expected, 1) {
        let _ = std::panic::take_hook();
        panic!("cut at step {step}: {told}, {images} images, {files:#?}, expected {expected:#?}");
    }
    true
}

#[test]
fn killed_while_it_converts_nothing_runs_on_and_the_next_run_converts() {
    let (site, _cloud) = site(Dialect::V7_4);
    let vmdk = image(&site.path(""), &raw(1, 1), "vmdk", "");
    site.publish(&site.list("1.0", &[&site.serve_as(A, "1", Resource::bytes(vmdk))]));
    let (folder, began) = (site.path("bin"), site.path("began"));
    for folder in [&folder, &began] {
        std::fs::create_dir(folder).unwrap();
    }
    let hang = format!("mkdir {}/$$; while :; do :; done", began.display());
    fake_qemu_img(&folder, &format!("[ \"$1\" != convert ] || {{ {hang}; }}\nPATH=${{PATH#*:}} exec qemu-img \"$@\""));
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut command: Command = operator(&site, &["--once"]);
    let mut child = command.env("PATH", path).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let converting = loop {
        if let Some(entry) = std::fs::read_dir(&began).unwrap().next() {
            break entry.unwrap().file_name().into_string().unwrap();
        }
        std::thread::yield_now();
    };
    let process = Path::new("/proc").join(converting);
    assert!(process.exists());
    child.kill().unwrap();
    child.wait().unwrap();
    while process.exists() && !is_dead(&process) {
        std::thread::yield_now();
    }
    let scratch = || std::fs::read_dir(site.path("volume/scratch")).unwrap().count();
    assert_eq!(scratch(), 1, "what it had");
    let next = once(&site);
    assert_eq!(next.status.code(), Some(0), "{}", text(&next));
    assert!(text(&next).contains("the image is converted"), "{}", text(&next));
    assert_eq!(scratch(), 0);
}

/// Whether a process has ended and only its parent has not heard of it.
fn is_dead(process: &Path) -> bool {
    let state = std::fs::read_to_string(process.join("stat")).unwrap_or_default();
    state.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'))
}

#[test]
fn a_large_image_is_unpacked_and_converted_in_little_memory() {
    let (site, cloud) = site(Dialect::V7_4);
    target(&site, &cloud, "one", "formats: [qcow2]");
    let mut disk = vec![0; 512 << 20];
    disk[..1 << 20].copy_from_slice(&raw(1, 1));
    let served = site.serve_as(A, "1", Resource::bytes(compressed("gzip", &disk)));
    drop(disk);
    site.publish(&site.list("1.0", &[&served]));
    let mut running = Running::start(&site);
    running.wait_for("the image is converted");
    // The program's own pages are left out, which are many without optimisation.
    let peak = running.fact("status", "VmHWM") - running.fact("status", "RssFile");
    assert!(running.terminate().success());
    eprintln!("512 MiB unpacked and converted: peak {peak} KiB");
    assert!(peak < 32 * 1024, "a peak of {peak} KiB");
}

#[test]
fn where_no_name_space_is_allowed_it_is_told_once_and_converted() {
    let (site, cloud) = site(Dialect::V7_4);
    let folder = site.path("bin");
    std::fs::create_dir(&folder).unwrap();
    // As a pod without rights answers.
    let refused = fake_qemu_img(&folder, "echo 'unshare: unshare failed: Operation not permitted' >&2; exit 1");
    std::fs::rename(refused, folder.join("unshare")).unwrap();
    let images: Vec<_> = [(A, 1), ("aaaaaaaa-0000-4000-8000-000000000002", 2)]
        .map(|(identifier, seed)| {
            let vmdk = image(&site.path(""), &raw(1, seed), "vmdk", "");
            site.serve_as(identifier, "1", Resource::bytes(vmdk))
        })
        .into();
    site.publish(&site.list("1.0", &images.iter().collect::<Vec<_>>()));
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let ended = operator(&site, &["--once"]).env("PATH", path).output().unwrap();
    let told = text(&ended);
    assert_eq!(ended.status.code(), Some(0), "{told}");
    assert_eq!(told.matches("qemu-img runs with the network of this process").count(), 1, "{told}");
    assert_eq!(told.matches("the image is converted").count(), 2, "{told}");
    assert_eq!(cloud.world(|world| world.images.len()), 2);
}
