//! A full spool.

use super::*;

const LIMIT: u64 = 64 * 1024;

#[test]
fn the_oldest_segments_go_and_what_each_sink_lost_is_counted() {
    let folder = folder();
    let mut sinks = all(&["quick", "slow"]);
    sinks.push((sink("other"), takes(&[EventType::Expire])));
    let spool = Spool::open(folder.path(), LIMIT, &sinks).unwrap();
    let mut quick = spool.reader(&sink("quick")).unwrap();
    let mut lost = 0;
    for number in 0..1000 {
        let appended = spool.append(&available([number])).unwrap();
        assert!(appended.lost.keys().all(|name| *name == sink("slow")), "{appended:?}");
        lost += appended.lost.values().sum::<u64>();
        assert!(bytes_of(folder.path()) <= LIMIT);
        assert_eq!(run(take(&mut quick)), [number]);
    }
    let status = spool.status().unwrap();
    assert_eq!(status.sinks[&sink("slow")].lost, lost);
    assert_eq!((status.sinks[&sink("quick")].lost, status.sinks[&sink("other")].lost), (0, 0));
    // Nearly all of the limit is used.
    assert!(status.bytes > LIMIT * 9 / 10, "{status:?}");
    assert_eq!(run(take(&mut spool.reader(&sink("slow")).unwrap())), (lost..1000).collect::<Vec<_>>());
    assert_eq!(run(take(&mut spool.reader(&sink("other")).unwrap())), [0; 0]);
    assert!(lost > 500 && bytes_of(folder.path()) < LIMIT / 8);
}

#[test]
fn a_reader_goes_on_behind_what_was_removed() {
    let folder = folder();
    let spool = Spool::open(folder.path(), LIMIT, &all(&["a"])).unwrap();
    spool.append(&available(0..10)).unwrap();
    let mut reader = spool.reader(&sink("a")).unwrap();
    let early = run(reader.ready(4)).unwrap();
    assert_eq!(numbers(&early), [0, 1, 2, 3]);
    for number in 10..1000 {
        spool.append(&available([number])).unwrap();
    }
    let lost = spool.status().unwrap().sinks[&sink("a")].lost;
    // The delivery of what was read early ends late.
    run(reader.advance(early[3].0)).unwrap();
    assert_eq!(run(take(&mut reader)), (lost..1000).collect::<Vec<_>>());
}

#[test]
fn what_is_larger_than_the_limit_is_lost_and_the_rest_is_written() {
    let folder = folder();
    let spool = Spool::open(folder.path(), LIMIT, &all(&["a"])).unwrap();
    let mut large = event(1, EventType::Available);
    large.message = Some("x".repeat(70_000));
    let appended = spool.append(&[event(0, EventType::Available), large, event(2, EventType::Available)]).unwrap();
    assert_eq!((appended.written, appended.lost.get(&sink("a"))), (2, Some(&1)));
    // A call with more than the limit: the last ones stay.
    let appended = spool.append(&available(10..1010)).unwrap();
    assert!(bytes_of(folder.path()) <= LIMIT && appended.written > 100);
    let lost = spool.status().unwrap().sinks[&sink("a")].lost;
    let found = run(take(&mut spool.reader(&sink("a")).unwrap()));
    assert!(found.ends_with(&(1010 - appended.written..1010).collect::<Vec<_>>()), "{found:?}");
    assert_eq!(found.len() + usize::try_from(lost).unwrap(), 1003);
}

#[test]
fn a_lower_limit_holds_at_once() {
    let folder = folder();
    let spool = Spool::open(folder.path(), LIMIT, &all(&["a"])).unwrap();
    for number in 0..150 {
        spool.append(&available([number])).unwrap();
    }
    drop(spool);
    let spool = Spool::open(folder.path(), LIMIT / 4, &all(&["a"])).unwrap();
    let status = spool.status().unwrap();
    assert!(status.bytes <= LIMIT / 4 && status.bytes == bytes_of(folder.path()));
    let waiting = status.sinks[&sink("a")];
    assert_eq!(waiting.events + waiting.lost, 150);
    assert_eq!(run(take(&mut spool.reader(&sink("a")).unwrap())), (waiting.lost..150).collect::<Vec<_>>());
}

#[test]
fn that_it_is_nearly_full_is_said_once_until_it_is_emptier() {
    let folder = folder();
    let spool = Spool::open(folder.path(), LIMIT, &all(&["a"])).unwrap();
    let is_high = || super::super::log::lock(&spool.0.state).is_high;
    let share = || bytes_of(folder.path()) * 100 / LIMIT;
    let mut number = 0;
    while share() < 80 {
        assert!(!is_high());
        spool.append(&available([number])).unwrap();
        number += 1;
    }
    assert!(is_high());
    let mut reader = spool.reader(&sink("a")).unwrap();
    while share() >= 70 {
        assert!(is_high());
        let events = run(reader.ready(5)).unwrap();
        run(reader.advance(events.last().unwrap().0)).unwrap();
    }
    assert!(!is_high());
}
