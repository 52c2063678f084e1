//! Images in another form than a cloud takes: a whole site with clouds and the real qemu-img.

use std::path::PathBuf;

use harness::appliance::{compressed, fake_qemu_img, image, ovf, raw, tar};
use harness::image_server::Resource;
use harness::opennebula::{Cloud, Dialect};
use harness::site::{Served, Site};
use jiff::SignedDuration;

use super::targets::{A, at, target, writes};

/// A cloud that keeps the form that it was told.
fn older_cloud(site: &Site) -> Cloud {
    super::targets::cloud(site, Dialect::V5_12)
}

fn site() -> (Site, Cloud) {
    super::targets::site(Dialect::V5_12)
}

/// A program that writes down what it is run for, and is qemu-img.
fn counted(site: &mut Site, script: &str) -> PathBuf {
    let folder = site.path("bin");
    std::fs::create_dir_all(&folder).unwrap();
    // Its own limits keep it from writing files, not from making directories.
    let runs = site.path("runs");
    std::fs::create_dir_all(&runs).unwrap();
    let note = format!("mkdir {}/$1-$$", runs.display());
    site.conversion.program = fake_qemu_img(&folder, &format!("{note}\n{script}"));
    runs
}

/// How often it was run for a command.
fn runs(of: &std::path::Path, command: &str) -> usize {
    let entries = std::fs::read_dir(of).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    entries.filter(|name| name.starts_with(command)).count()
}

const REAL: &str = "exec /usr/bin/env qemu-img \"$@\"";

fn serve(site: &Site, version: &str, bytes: Vec<u8>) -> Served {
    site.serve_as(A, version, Resource::bytes(bytes))
}

fn appliance(site: &Site, seed: u8) -> Vec<u8> {
    let vmdk = image(&site.path(""), &raw(2, seed), "vmdk", "subformat=streamOptimized");
    tar(&[("a.ovf", ovf(&["a.vmdk", "b.vmdk"]).as_bytes()), ("a.vmdk", &vmdk), ("b.vmdk", &vmdk)])
}

fn attribute(cloud: &Cloud, name: &str) -> String {
    let found = cloud.world(|world| world.named(A).first().map(|image| image.attributes.get(name).cloned()));
    found.flatten().unwrap_or_default()
}

/// The blobs on the volume.
fn blobs(site: &Site) -> usize {
    site.volume_files().keys().filter(|name| name.starts_with("blobs/") && !name.contains('.')).count()
}

#[tokio::test]
async fn two_clouds_get_one_conversion_and_later_runs_do_nothing() {
    let (mut site, cloud) = site();
    let other = older_cloud(&site);
    target(&site, &other, "two", "formats: [raw, qcow2]");
    let third = older_cloud(&site);
    target(&site, &third, "three", "formats: [qcow2]");
    site.subscribe("targetRefs: [{name: one}, {name: two}, {name: three}]");
    let runs_of = counted(&mut site, REAL);
    let served = serve(&site, "1", appliance(&site, 1));
    site.publish(&site.list("1.0", &[&served]));
    let run = site.run().await;
    assert_eq!(run.image_condition(A, "Published"), "True Published", "{:?}", run.image(A));
    // One to qcow2 for two clouds, one to raw for the one that likes it better.
    assert_eq!((runs(&runs_of, "convert"), blobs(&site)), (2, 3));
    let message = &at(&run, A).conditions[0].message;
    assert!(message.contains("left out: \"b.vmdk\""), "{message}");
    for (cloud, form) in [(&cloud, "qcow2"), (&other, "raw"), (&third, "qcow2")] {
        assert_eq!(attribute(cloud, "VMCATCHER_EVENT_SL_CHECKSUM_SHA512"), served.sha512, "it tells the version");
        assert_eq!(attribute(cloud, "DRIVER"), form);
        assert_eq!(attribute(cloud, "SHA1").len(), 40);
        writes(cloud);
    }
    assert_eq!(attribute(&cloud, "SHA1"), attribute(&third, "SHA1"));
    assert_ne!(attribute(&cloud, "SHA1"), attribute(&other, "SHA1"));
    site.run().await;
    // Another form is wanted now: what is published stays what it is.
    target(&site, &cloud, "one", "formats: [raw]");
    assert_eq!(site.run().await.image_condition(A, "Published"), "True Published");
    assert_eq!((writes(&cloud), writes(&other), runs(&runs_of, "convert")), (0, 0, 2));
}

#[tokio::test]
async fn a_cloud_of_raw_disks_gets_raw_disks_and_others_need_no_program() {
    let (mut site, cloud) = site();
    target(&site, &cloud, "one", "formats: [raw]");
    site.conversion.program = PathBuf::from("qemu-img-that-is-not-there");
    let disk = raw(1, 1);
    let qcow2 = image(&site.path(""), &disk, "qcow2", "");
    let served = serve(&site, "1", qcow2);
    site.publish(&site.list("1.0", &[&served]));
    let run = site.run().await;
    assert_eq!(run.image_condition(A, "Published"), "False ConversionFailed");
    let message = &at(&run, A).conditions[0].message;
    assert!(message.contains("Debian package qemu-utils") && message.contains("qcow2 to raw"), "{message}");
    assert_eq!(writes(&cloud), 0);
    // It is looked for again after some minutes.
    site.conversion.program = PathBuf::from("qemu-img");
    assert_eq!(site.run().await.image_condition(A, "Published"), "False ConversionFailed");
    site.pass_time(SignedDuration::from_mins(6));
    assert_eq!(site.run().await.image_condition(A, "Published"), "True Published");
    assert_eq!(attribute(&cloud, "DRIVER"), "raw");
    site.conversion.program = PathBuf::from("qemu-img-that-is-not-there");
    site.pass_time(SignedDuration::from_mins(6));
    let packed = serve(&site, "2", compressed("gzip", &raw(1, 2)));
    site.publish(&site.list("1.1", &[&packed]));
    let run = site.run().await;
    assert_eq!(
        (run.image_condition(A, "Published"), at(&run, A).version.as_deref()),
        ("True Published".into(), Some("2"))
    );
}

#[tokio::test]
async fn what_failed_is_not_tried_again_and_again() {
    let (mut site, _cloud) = site();
    let runs_of = counted(&mut site, "echo \"qemu-img: Could not open '$6': Image is bad\" >&2; exit 1");
    let vmdk = serve(&site, "1", image(&site.path(""), &raw(1, 1), "vmdk", ""));
    site.publish(&site.list("1.0", &[&vmdk]));
    let run = site.run().await;
    assert_eq!(run.image_condition(A, "Published"), "False ConversionFailed");
    assert!(at(&run, A).conditions[0].message.contains("Image is bad"), "{:?}", at(&run, A));
    for _ in 0..3 {
        site.run().await;
    }
    assert_eq!(runs(&runs_of, "info"), 1, "it waits, over restarts too");
    for seconds in [61, 50] {
        site.pass_time(SignedDuration::from_secs(seconds));
        site.run().await;
    }
    assert_eq!(runs(&runs_of, "info"), 2, "twice as long the second time");
    site.subscribe_with(
        "vo",
        "now",
        &site.server.url("/image.list"),
        "images: {include: {match: [{name: all}]}}\n  targetRefs: [{name: one}]",
    );
    site.run().await;
    assert_eq!(runs(&runs_of, "info"), 3, "somebody asked");
}

#[tokio::test]
async fn a_bad_image_waits_for_a_person_and_the_old_one_stays_published() {
    let (site, cloud) = site();
    let good = serve(&site, "1", appliance(&site, 1));
    site.publish(&site.list("1.0", &[&good]));
    assert_eq!(site.run().await.image_condition(A, "Published"), "True Published");
    site.pass_time(SignedDuration::from_mins(5));
    let gz_in_gz = compressed("gzip", &compressed("gzip", &raw(1, 3)));
    site.publish(&site.list("1.1", &[&serve(&site, "2", gz_in_gz)]));
    let run = site.run().await;
    assert_eq!(run.image_condition(A, "Published"), "False ConversionFailed");
    let status = at(&run, A);
    assert!(status.conditions[0].message.contains("a gz inside a gz; it is tried again when"), "{status:?}");
    assert_eq!(status.version.as_deref(), Some("1"));
    assert_eq!(attribute(&cloud, "VMCATCHER_EVENT_SL_CHECKSUM_SHA512"), good.sha512);
}

#[tokio::test]
async fn what_was_converted_goes_with_its_source_and_not_before() {
    let (site, cloud) = site();
    let first = serve(&site, "1", appliance(&site, 1));
    site.publish(&site.list("1.0", &[&first]));
    site.run().await;
    for _ in 0..3 {
        site.pass_time(SignedDuration::from_hours(24));
        site.publish(&site.list("1.0", &[&first]));
        site.run().await;
    }
    assert_eq!(blobs(&site), 2, "wanted all the time");
    // It is not wanted any more: the target has no use for it.
    target(&site, &cloud, "one", "formats: [raw]");
    site.run().await;
    let both = blobs(&site);
    site.pass_time(SignedDuration::from_hours(49));
    site.run().await;
    site.pass_time(SignedDuration::from_hours(2));
    site.run().await;
    assert_eq!((both, blobs(&site)), (3, 2), "qcow2 is gone, raw is there");
    // A new version: the old one is archived, and its other forms go.
    let second = serve(&site, "2", appliance(&site, 2));
    site.publish(&site.list("1.1", &[&second]));
    assert_eq!(site.run().await.image_condition(A, "Published"), "True Published");
    site.pass_time(SignedDuration::from_hours(2));
    site.run().await;
    assert_eq!(blobs(&site), 3, "two sources, one raw disk");
    let records = site.volume_files().into_keys().filter(|name| name.starts_with("state/conversions/")).count();
    assert_eq!(records, 1);
}

#[tokio::test]
async fn an_iso_is_no_disk() {
    let (site, cloud) = site();
    let mut iso = raw(1, 2);
    iso[0x8001..0x8006].copy_from_slice(b"CD001");
    site.publish(&site.list("1.0", &[&serve(&site, "1", iso)]));
    assert_eq!(site.run().await.image_condition(A, "Published"), "False FormatNotAccepted");
    assert_eq!(writes(&cloud), 0);
}

#[tokio::test]
async fn a_status_tells_how_far_a_conversion_is() {
    let (mut site, cloud) = site();
    let folder = site.path("bin");
    std::fs::create_dir(&folder).unwrap();
    let go_on = site.path("go-on");
    assert!(std::process::Command::new("mkfifo").arg(&go_on).status().unwrap().success());
    let wait = format!("[ \"$1\" != convert ] || read line < {}", go_on.display());
    site.conversion.program = fake_qemu_img(&folder, &format!("{wait}\n{REAL}"));
    let vmdk = image(&site.path(""), &raw(1, 1), "vmdk", "");
    site.publish(&site.list("1.0", &[&serve(&site, "1", vmdk)]));
    let status = site.path(&format!("volume/state/resources/default/cachedimages/{A}.yaml"));
    let told = async {
        while !std::fs::read_to_string(&status).unwrap_or_default().contains("step: Convert") {
            tokio::task::yield_now().await;
        }
        tokio::task::spawn_blocking(move || std::fs::write(&go_on, "\n").unwrap()).await.unwrap();
    };
    let (run, ()) = tokio::join!(site.run(), told);
    assert_eq!(run.image_condition(A, "Published"), "True Published");
    assert_eq!(run.image(A).unwrap().progress, None, "gone when done");
    assert_eq!(writes(&cloud), 3);
}
