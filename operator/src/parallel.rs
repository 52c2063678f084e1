//! Maps many items on all processors, in order.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::thread;

/// So many items are worth a thread.
const WORTH_A_THREAD: usize = 100;

/// Maps each item, on as many threads as there are processors if there are many items. The results are in the order of
/// the items. A panic of `map` goes on here.
pub fn map<T: Sync, R: Send>(items: &[T], map: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let size = items.len().div_ceil(processors).max(WORTH_A_THREAD);
    if items.len() <= size {
        return items.iter().map(map).collect();
    }
    let one_part = |part: &[T]| part.iter().map(&map).collect::<Vec<R>>();
    thread::scope(|scope| {
        let mut parts = items.chunks(size);
        let own = parts.next().unwrap_or_default();
        let others: Vec<_> = parts.map(|part| scope.spawn(|| one_part(part))).collect();
        let mut results = one_part(own);
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
        }
    }
}
