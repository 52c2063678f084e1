//! A pass with nothing to do, from exec to exit.

use super::measured::{RUNS, better, run};
use super::publisher::Publisher;

/// Over this many cached images of 4 KiB in one list.
pub(crate) fn idle(count: usize) {
    let publisher = Publisher::start();
    publisher.publish(count, 4096, true);
    let first = run(&mut publisher.once(&["--max-downloads", "8"]));
    println!("{count} images of 4 KiB: {:.1} s", first.wall.as_secs_f64());
    // The first run after it copies what the last one stored.
    run(&mut publisher.once(&[]));
    let mut best = None;
    for _ in 0..2 * RUNS {
        better(&mut best, run(&mut publisher.once(&[])));
    }
    let best = best.unwrap();
    println!(
        "nothing to do over {count} images: {:.1} ms, {} ms of processors, at most {} MiB",
        best.wall.as_secs_f64() * 1000.0,
        best.processor.as_millis(),
        best.peak >> 10
    );
}
