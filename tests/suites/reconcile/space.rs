//! A real file system that is too small, and grows: a tmpfs that only the script sees which mounts it.

use std::process::{Command, Output};

use harness::site::Site;
use jiff::SignedDuration;
use vmcatcher_operator::api::ObjectKey;
use vmcatcher_operator::cache::Volume;
use vmcatcher_operator::reconcile::subscription::FetchTrigger;
use vmcatcher_operator::reconcile::{image, subscription};

const IMAGES: u64 = 200;
const MEBIBYTE: u64 = 1 << 20;

/// Runs a script where `$VOLUME` is a tmpfs of 60 MiB, with the operator as `$OPERATOR` and its folders; `None` where this
/// user may not mount one.
fn on_a_small_disk(site: &Site, script: &str) -> Option<Output> {
    let run = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-ec", script]);
        command.env("OPERATOR", env!("CARGO_BIN_EXE_operator")).env("VOLUME", site.path("volume"));
        command.env("MANIFESTS", site.path("manifests")).env("TRUST", site.path("trust"));
        command.output().unwrap()
    };
    std::fs::create_dir(site.path("volume")).unwrap();
    let mount = "mount -t tmpfs -o size=60m,mode=755 small \"$VOLUME\"";
    if !run(mount).status.success() {
        eprintln!("SKIPPED: this user may not mount a tmpfs");
        return None;
    }
    let reconcile = "reconcile() { \"$OPERATOR\" reconcile --once --manifests \"$MANIFESTS\" --volume \"$VOLUME\" --trust \"$TRUST\" -o json \"$@\" || echo \"exit code $?\" >&2; }";
    let listed = "listed() { \"$OPERATOR\" cache ls --volume \"$VOLUME\" -o json; }";
    Some(run(&format!("{mount}\n{reconcile}\n{listed}\n{script}")))
}

fn versions(json: &str) -> u64 {
    json.matches("\"state\": \"endorsed\"").count() as u64
}

#[test]
fn what_fits_is_cached_and_the_rest_when_the_volume_has_grown() {
    let site = Site::new();
    let images: Vec<_> = (0..IMAGES)
        .map(|number| site.serve(&format!("aaaaaaaa-0000-4000-8000-{number:012}"), "1", number, MEBIBYTE))
        .collect();
    site.publish(&site.list("1.0", &images.iter().collect::<Vec<_>>()));
    let script = "reconcile > \"$VOLUME/first.json\"; listed; echo ====; df -k \"$VOLUME\" | tail -1 >&2\n\
                  grep -o '\"message\": \"[^\"]*kept free by --min-free' \"$VOLUME/first.json\" | head -1; echo ====\n\
                  rm \"$VOLUME/first.json\"; reconcile --min-free 0 > /dev/null; listed; echo ====\n\
                  mount -o remount,size=400m \"$VOLUME\"; reconcile > /dev/null; listed";
    let Some(output) = on_a_small_disk(&site, script) else { return };
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let parts: Vec<&str> = said.split("====\n").collect();
    let [small, message, nothing_kept, grown] = parts.as_slice() else { panic!("{said}\n{errors}") };
    // Three MiB of sixty are kept free, and each image has its records.
    let fitted = versions(small);
    assert!((48..=57).contains(&fitted), "{fitted} of 1 MiB are on a volume of 60 MiB\n{errors}");
    assert!(
        message.contains(": 1 MiB needed, ") && message.contains(" free, 3 MiB kept free by --min-free"),
        "{message}"
    );
    assert!(versions(nothing_kept) > fitted, "what is kept free is an option: {}\n{errors}", versions(nothing_kept));
    assert_eq!(versions(grown), IMAGES, "a run by hand tries anew at once\n{errors}");
}

/// What goes on by itself does not wait for the end of a long back-off, and does not try again and again either.
#[tokio::test]
async fn that_there_is_room_is_noticed_before_the_next_try() {
    const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
    let mut site = Site::new();
    site.min_free = Some(1 << 60);
    let served = site.serve(A, "1", 1, 50_000);
    site.publish(&site.list("1.0", &[&served]));
    for failures in 1..=8 {
        let run = site.run().await;
        let status = run.image(A).unwrap();
        assert_eq!((status.failures, run.image_condition(A, "Cached").as_str()), (Some(failures), "False NoSpace"));
    }
    let (vo, key) = (ObjectKey::new("default", "vo"), ObjectKey::new("default", A));
    for (minutes, min_free, begun) in [(3, Some(0), false), (3, Some(1 << 60), false), (0, Some(0), true)] {
        site.pass_time(SignedDuration::from_mins(minutes));
        site.min_free = min_free;
        let volume = Volume::open_waiting(&site.path("volume"), |_| {}).await.unwrap();
        let context = site.context_over(volume, |directory| directory);
        context.store.reload(site.now()).unwrap();
        subscription::reconcile(&context, &vo, FetchTrigger::WhenDue, site.now()).await.unwrap();
        let wake = image::reconcile(&context, &key, site.now()).await.unwrap();
        assert_eq!(!context.downloads.all().is_empty(), begun, "after {minutes} minutes more");
        assert!(wake.is_some_and(|wake| wake <= site.now() + SignedDuration::from_mins(1)), "{wake:?}");
        context.jobs.shutdown().await;
    }
}
