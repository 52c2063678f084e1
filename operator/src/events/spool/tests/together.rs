//! A writer, readers and lookers at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

const EVENTS: u64 = 2000;

async fn read_all(mut reader: Reader) -> Vec<u64> {
    let mut found = Vec::new();
    while found.len() < usize::try_from(EVENTS).unwrap() {
        let events = reader.next(16).await.unwrap();
        found.extend(numbers(&events));
        reader.advance(events.last().unwrap().0).await.unwrap();
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_reader_gets_all_in_order_while_others_write_and_look() {
    let folder = folder();
    let names = ["a", "b", "c", "d"];
    // Segments of 64 KiB, so that some come and go, and room for all.
    let spool = Spool::open(folder.path(), 1024 * 1024, &all(&names)).unwrap();
    let spool = Arc::new(spool);
    let readers = names.map(|name| tokio::spawn(read_all(spool.reader(&sink(name)).unwrap())));
    let ended = Arc::new(AtomicBool::new(false));
    let looker = {
        let (spool, directory, ended) = (spool.clone(), folder.path().to_owned(), ended.clone());
        tokio::task::spawn_blocking(move || {
            let mut looks = 0;
            while !ended.load(Ordering::SeqCst) {
                let records = Spool::read_only(&directory).records(1).unwrap();
                let seen: Vec<u64> = records.map(|record| record.unwrap().0).collect();
                assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "{seen:?}");
                assert!(Spool::read_only(&directory).positions().unwrap().len() <= 4);
                assert!(spool.status().unwrap().sinks.values().all(|waiting| waiting.events <= EVENTS));
                looks += 1;
            }
            looks
        })
    };
    let writer = {
        let spool = spool.clone();
        tokio::task::spawn_blocking(move || {
            for first in (0..EVENTS).step_by(20) {
                assert!(spool.append(&available(first..first + 20)).unwrap().lost.is_empty());
            }
        })
    };
    writer.await.unwrap();
    for reader in readers {
        assert_eq!(reader.await.unwrap(), (0..EVENTS).collect::<Vec<_>>());
    }
    ended.store(true, Ordering::SeqCst);
    assert!(looker.await.unwrap() > 0);
    assert_eq!(segments(folder.path()).len(), 1);
    let status = spool.status().unwrap();
    assert!(
        status.sinks.values().all(|waiting| (waiting.events, waiting.bytes, waiting.lost) == (0, 0, 0)),
        "{status:?}"
    );
}

#[tokio::test]
async fn a_reader_that_waits_is_woken_and_one_that_is_dropped_loses_nothing() {
    let folder = folder();
    let spool = Spool::open(folder.path(), ROOMY, &all(&["a"])).unwrap();
    let mut reader = spool.reader(&sink("a")).unwrap();
    for round in 0..200 {
        assert!(futures::poll!(Box::pin(reader.next(8))).is_pending());
        // At any moment of the reader's look.
        let append = async {
            for _ in 0..round % 7 {
                tokio::task::yield_now().await;
            }
            spool.append(&available([round])).unwrap();
        };
        let (events, ()) = tokio::join!(reader.next(8), append);
        assert_eq!(numbers(&events.unwrap()), [round]);
        let events = reader.next(8).await.unwrap();
        assert_eq!(numbers(&events), [round], "it was not passed");
        reader.advance(events[0].0).await.unwrap();
    }
}
