//! A run with nothing to do, from exec to exit.

use super::measured::{RUNS, better, run};
use super::publisher::Publisher;

/// Over this many cached images of 4 KiB in one list.
pub(crate) fn idle(count: usize) {
    let publisher = Publisher::start();
    publisher.publish(count, 4096, true);
    let first = run(&mut publisher.once(&["--max-downloads", "8"]));
    println!("{count} images of 4 KiB: {:.1} s", first.wall.as_secs_f64());
    idle_run(&format!("{count} images"), &publisher, &[]);
}

/// Over what a publisher's site has.
pub(crate) fn idle_run(what: &str, publisher: &Publisher, options: &[&str]) {
    // The first runs copy what the one before stored, and mark what does not change. Files that changed within two
    // seconds are not marked.
    #[allow(clippy::disallowed_methods, reason = "a file system gives no sign that its clock has moved on")]
    std::thread::sleep(std::time::Duration::from_secs(3));
    for _ in 0..2 {
        run(&mut publisher.once(options));
    }
    let mut best = None;
    for _ in 0..2 * RUNS {
        better(&mut best, run(&mut publisher.once(options)));
    }
    let best = best.unwrap();
    println!(
        "nothing to do over {what}: {:.1} ms, {} ms of processors, at most {} MiB",
        best.wall.as_secs_f64() * 1000.0,
        best.processor.as_millis(),
        best.peak >> 10
    );
}
