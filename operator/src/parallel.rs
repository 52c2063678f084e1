//! Divides work among all processors, in order.

use std::num::NonZero;
use std::ops::Range;
use std::panic::resume_unwind;
use std::thread;

/// So many items are worth a thread.
const WORTH_A_THREAD: usize = 100;

/// Maps each item, on as many threads as there are processors if there are many items. The results are in the order of
/// the items. A panic of `map` goes on here.
pub fn map<T: Sync, R: Send>(items: &[T], map: impl Fn(&T) -> R + Sync) -> Vec<R> {
    in_parts(items.len(), WORTH_A_THREAD, |part| items[part].iter().map(&map).collect())
}

/// The same on one processor less, if there are several: for work that is done beside more urgent work.
pub fn map_beside<T: Sync, R: Send>(items: &[T], map: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let part = |part: Range<usize>| items[part].iter().map(&map).collect();
    divided(items.len(), items.len().div_ceil((processors() - 1).max(1)).max(WORTH_A_THREAD), part)
}

/// Divides the numbers below `count` into a part for each processor, and collects the results of all parts in order. A part
/// has at least `worth_a_thread` numbers if there are so many. A panic of `map` goes on here.
pub fn in_parts<R: Send>(count: usize, worth_a_thread: usize, map: impl Fn(Range<usize>) -> Vec<R> + Sync) -> Vec<R> {
    divided(count, count.div_ceil(processors()).max(worth_a_thread), map)
}

fn processors() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// One thread for each part of so many numbers, of which this one is the first.
fn divided<R: Send>(count: usize, size: usize, map: impl Fn(Range<usize>) -> Vec<R> + Sync) -> Vec<R> {
    let size = size.max(1);
    let part = |start: usize| map(start..count.min(start + size));
    thread::scope(|scope| {
        let others: Vec<_> = (size..count).step_by(size).map(|start| scope.spawn(move || part(start))).collect();
        let mut results = part(0);
        for other in others {
            results.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        results
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_stays() {
        for count in [0, 1, WORTH_A_THREAD, WORTH_A_THREAD + 1, 10 * WORTH_A_THREAD + 7] {
            let items: Vec<usize> = (0..count).collect();
            let doubled: Vec<usize> = items.iter().map(|item| item * 2).collect();
            assert_eq!(map(&items, |item| item * 2), doubled);
            assert_eq!(map_beside(&items, |item| item * 2), doubled);
        }
    }

    #[test]
    fn each_number_is_in_one_part() {
        for (count, worth_a_thread) in [(0, 1), (1, 1), (2, 1), (3, 0), (1000, 1), (1000, 999), (1000, 1000)] {
            assert_eq!(in_parts(count, worth_a_thread, Iterator::collect), (0..count).collect::<Vec<_>>());
        }
    }
}
