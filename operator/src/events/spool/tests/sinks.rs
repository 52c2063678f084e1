//! Sinks come and go.

use super::super::SpoolError;
use super::*;

#[test]
fn without_sinks_nothing_is_made_and_what_was_there_goes() {
    let folder = folder();
    let directory = folder.path().join("volume/spool");
    let nothing = Spool::open(&directory, ROOMY, &[]).unwrap();
    assert_eq!(nothing.append(&available(0..10)).unwrap(), super::super::Appended::default());
    assert_eq!(nothing.status().unwrap().sinks.len(), 0);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

    Spool::open(&directory, ROOMY, &all(&["a"])).unwrap().append(&available(0..10)).unwrap();
    assert_eq!(segments(&directory).len(), 1);
    fs::write(directory.join("theirs"), "stays").unwrap();
    Spool::open(&directory, ROOMY, &[]).unwrap();
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 1, "what is not the spool's stays");
    fs::remove_file(directory.join("theirs")).unwrap();
    Spool::open(&directory, ROOMY, &[]).unwrap();
    assert!(!directory.exists());
}

#[test]
fn a_new_sink_gets_what_comes_and_one_that_is_gone_frees_its_part() {
    let folder = folder();
    let limit = 64 * 1024;
    let spool = Spool::open(folder.path(), limit, &all(&["old"])).unwrap();
    for number in 0..100 {
        spool.append(&available([number])).unwrap();
    }
    drop(spool);
    let many = segments(folder.path()).len();
    let spool = Spool::open(folder.path(), limit, &all(&["old", "new"])).unwrap();
    drop(spool);
    // It is new only once.
    let spool = Spool::open(folder.path(), limit, &all(&["old", "new"])).unwrap();
    spool.append(&available([100])).unwrap();
    assert_eq!(segments(folder.path()).len(), many);
    drop(spool);
    fs::write(folder.path().join("positions/.position-abc.tmp"), "left").unwrap();
    let spool = Spool::open(folder.path(), limit, &all(&["new"])).unwrap();
    assert_eq!((segments(folder.path()).len(), many > 4), (1, true));
    let left: Vec<_> = fs::read_dir(folder.path().join("positions")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["new"]);
    assert_eq!(run(take(&mut spool.reader(&sink("new")).unwrap())), [100]);
    let error = spool.reader(&sink("old")).unwrap_err();
    assert_eq!(error.to_string(), "expected the name of a configured sink (new), found old");
    assert!(matches!(spool.set_position(&sink("old"), 1), Err(SpoolError::UnknownSink { .. })));
}

#[test]
fn only_what_a_sink_gets_is_written() {
    let folder = folder();
    let mut everything = takes(&EventType::ALL);
    everything.phases = [Phase::Before, Phase::After, Phase::Progress].into();
    let sinks = [
        (sink("a"), takes(&[EventType::Expire])),
        (sink("b"), EventFilter { types: [EventType::Publish].into(), ..everything }),
    ];
    let spool = Spool::open(folder.path(), ROOMY, &sinks).unwrap();
    let phase = |number, phase| Event { phase, ..event(number, EventType::Publish) };
    let events = [
        event(0, EventType::Available),
        event(1, EventType::Expire),
        phase(2, Phase::Before),
        phase(3, Phase::Progress),
        phase(4, Phase::After),
    ];
    assert_eq!(spool.append(&events[..1]).unwrap().written, 0);
    assert_eq!(segments(folder.path()).len(), 0);
    assert_eq!(spool.append(&events).unwrap().written, 2);
    assert_eq!(run(take(&mut spool.reader(&sink("a")).unwrap())), [1]);
    assert_eq!(run(take(&mut spool.reader(&sink("b")).unwrap())), [4]);
}

#[test]
fn a_replay_begins_at_the_number_and_a_delivery_that_was_running_does_not_end_it() {
    let folder = folder();
    let spool = Spool::open(folder.path(), ROOMY, &all(&["a", "b"])).unwrap();
    spool.append(&available(0..10)).unwrap();
    let mut reader = spool.reader(&sink("a")).unwrap();
    assert_eq!(run(take(&mut reader)), (0..10).collect::<Vec<_>>());
    assert_eq!(spool.set_position(&sink("a"), 4).unwrap(), 4);
    let events = run(reader.ready(3)).unwrap();
    assert_eq!(numbers(&events), [3, 4, 5]);
    assert_eq!(spool.set_position(&sink("a"), 0).unwrap(), 1);
    run(reader.advance(events[2].0)).unwrap();
    assert_eq!(numbers(&run(reader.ready(2)).unwrap()), [0, 1]);
    assert_eq!(spool.set_position(&sink("a"), 99).unwrap(), 11);
    assert_eq!(numbers(&run(reader.ready(2)).unwrap()), [0; 0]);
    assert_eq!(run(take(&mut spool.reader(&sink("b")).unwrap())), (0..10).collect::<Vec<_>>());
}

#[test]
fn a_log_of_a_later_version_is_passed_over_and_counted() {
    let folder = folder();
    let spool = Spool::open(folder.path(), ROOMY, &all(&["a"])).unwrap();
    spool.append(&available([0])).unwrap();
    drop(spool);
    let path = &segments(folder.path())[0];
    let mut lines = fs::read(path).unwrap();
    super::super::record::add_record(&mut lines, 2, r#"{"event":"Teleport"}"#);
    fs::write(path, lines).unwrap();
    let spool = Spool::open(folder.path(), ROOMY, &all(&["a"])).unwrap();
    spool.append(&available([1])).unwrap();
    assert_eq!(run(take(&mut spool.reader(&sink("a")).unwrap())), [0, 1]);
    assert_eq!(spool.status().unwrap().sinks[&sink("a")].lost, 1);
}

#[test]
fn a_record_can_be_read_by_a_person_and_changes_no_terminal() {
    let folder = folder();
    let spool = Spool::open(folder.path(), ROOMY, &all(&["a"])).unwrap();
    spool.append(&available([5])).unwrap();
    let text = fs::read_to_string(&segments(folder.path())[0]).unwrap();
    assert!(text.ends_with('\n') && text.trim_end().chars().all(crate::text::is_printable), "{text}");
    let json = text.split_once(" 1 ").unwrap().1;
    assert_eq!(serde_json::from_str::<Event>(json).unwrap(), event(5, EventType::Available));
    assert!(fs::read_to_string(folder.path().join("positions/a")).unwrap().ends_with(" 1\n"));
}
