//! A run that is cut off at any step of the volume is finished by the next one.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use harness::site::{Served, Site};
use jiff::SignedDuration;
use tokio::sync::Notify;
use vmcatcher_operator::fs::Steps;

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const B: &str = "aaaaaaaa-0000-4000-8000-000000000002";

/// Ends the run at its n-th step, and every later step of it too.
struct Cut {
    left: AtomicUsize,
    ended: Notify,
}

impl Steps for Cut {
    fn before(&self, step: &'static str) {
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| Some(left.saturating_sub(1)));
        if left == Ok(0) {
            self.ended.notify_one();
            panic!("cut off before {step}");
        }
    }
}

struct Scenario {
    site: Site,
    old: Served,
    kept: Served,
    new: Served,
}

/// A site where one image is to be replaced and one stays.
async fn scenario() -> Scenario {
    let site = Site::new();
    let (old, kept) = (site.serve(A, "1", 1, 40_000), site.serve(B, "1", 2, 30_000));
    site.publish(&site.list("1.0", &[&old, &kept]));
    site.run().await;
    site.pass_time(SignedDuration::from_mins(5));
    // Its download has a record, and threads of its own that write and hash.
    let new = site.serve(A, "2", 3, 5_000_000);
    site.publish(&site.list("1.1", &[&new, &kept]));
    Scenario { site, old, kept, new }
}

/// Cuts a run at one place after the other until one is not cut any more, so many sites at the same time: most of the
/// time they wait. How many were cut.
pub(crate) async fn cut_everywhere(at_once: usize, cut_at: impl AsyncFn(usize) -> bool) -> usize {
    let mut cuts = 0;
    for first in (0..).step_by(at_once) {
        let ended = futures::future::join_all((first..first + at_once).map(|place| cut_at(place))).await;
        cuts += ended.iter().filter(|was_cut| **was_cut).count();
        if ended.contains(&false) {
            break;
        }
    }
    cuts
}

/// Runs until the n-th step; says whether it came to its end.
pub(crate) async fn run_cut(site: &Site, steps: usize) -> bool {
    let cut = Arc::new(Cut { left: AtomicUsize::new(steps), ended: Notify::new() });
    let run = AssertUnwindSafe(site.run_with_steps(Some(cut.clone())));
    tokio::select! {
        biased;
        // A download is on another thread: the cut ends the run before it hears how the download ended.
        () = cut.ended.notified() => false,
        ended = futures::FutureExt::catch_unwind(run) => ended.is_ok() && cut.left.load(Ordering::SeqCst) > 0,
    }
}

#[tokio::test]
async fn an_update_cut_at_every_step_ends_as_an_undisturbed_one() {
    std::panic::set_hook(Box::new(|_| {})); // the cuts are meant; what fails is told by the assertions' own panics below
    let undisturbed = scenario().await;
    undisturbed.site.run().await;
    let expected = settled_files(&undisturbed.site).await;
    let mut cuts = 0;
    loop {
        let Scenario { site, old, kept, new } = scenario().await;
        if run_cut(&site, cuts).await {
            break;
        }
        // Whatever was cut: the image that was published is there until its successor is, and nothing else ever is.
        let endorsed = site.shelf("endorsed");
        let good =
            endorsed.contains(&kept.entry()) && (endorsed.contains(&old.entry()) || endorsed.contains(&new.entry()));
        let known = endorsed.iter().all(|entry| [old.entry(), kept.entry(), new.entry()].contains(entry));
        let run = site.run().await;
        let files = settled_files(&site).await;
        let told = (good, known, run.list_condition("Ready"), run.image_condition(A, "Ready"), files == expected);
        if told != (true, true, "True Succeeded".to_owned(), "True Succeeded".to_owned(), true) {
            let _ = std::panic::take_hook();
            panic!("cut at step {cuts}: {told:?}; endorsed {endorsed:?}; files {files:#?}, expected {expected:#?}");
        }
        cuts += 1;
    }
    let _ = std::panic::take_hook();
    assert!(cuts > 20, "only {cuts} steps were seen");
}

/// The files of the volume once the next collection has removed what a cut left behind. Signed messages differ by
/// their time, and with them the names of the stored lists.
async fn settled_files(site: &Site) -> Vec<String> {
    site.pass_time(SignedDuration::from_hours(2));
    site.run().await;
    site.volume_files().into_keys().filter(|name| !name.starts_with("lists/")).collect()
}
