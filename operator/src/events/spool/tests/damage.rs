//! Torn ends and damaged bytes, at every place.

use super::super::SpoolError;
use super::*;

/// Copies a spool.
fn copy(from: &Path) -> tempfile::TempDir {
    let to = folder();
    fs::create_dir(to.path().join("positions")).unwrap();
    fs::copy(from.join("positions/a"), to.path().join("positions/a")).unwrap();
    for path in segments(from) {
        fs::copy(&path, to.path().join(path.file_name().unwrap())).unwrap();
    }
    to
}

/// What a sink gets after a restart, with one more event appended, and what it lost.
fn read_again(directory: &Path) -> (Vec<u64>, u64) {
    let spool = Spool::open(directory, ROOMY, &all(&["a"])).unwrap();
    spool.append(&available([100])).unwrap();
    let mut reader = spool.reader(&sink("a")).unwrap();
    let found = run(take(&mut reader));
    (found, spool.status().unwrap().sinks[&sink("a")].lost)
}

fn five_records() -> (tempfile::TempDir, Vec<u8>) {
    let folder = folder();
    let spool = Spool::open(folder.path(), ROOMY, &all(&["a"])).unwrap();
    for number in 0..5 {
        spool.append(&available([number])).unwrap();
    }
    let bytes = fs::read(&segments(folder.path())[0]).unwrap();
    (folder, bytes)
}

#[test]
fn a_record_that_is_cut_anywhere_is_not_there_and_the_next_one_is() {
    let (folder, bytes) = five_records();
    for end in 0..=bytes.len() {
        let torn = copy(folder.path());
        fs::write(&segments(torn.path())[0], &bytes[..end]).unwrap();
        let whole = u64::try_from(bytes[..end].split(|byte| *byte == b'\n').count() - 1).unwrap();
        let expected: Vec<u64> = (0..whole).chain([100]).collect();
        assert_eq!(read_again(torn.path()), (expected, 0), "cut at {end}");
    }
}

#[test]
fn garbage_behind_the_last_record_is_cut_off() {
    let (folder, bytes) = five_records();
    let long = vec![b'x'; 3 * 1024 * 1024];
    for garbage in [&b"\0\0\0\0"[..], b"\n\n\n", b"garbage\n", &bytes[..50], &long] {
        let torn = copy(folder.path());
        fs::write(&segments(torn.path())[0], [&bytes, garbage].concat()).unwrap();
        assert_eq!(read_again(torn.path()), (vec![0, 1, 2, 3, 4, 100], 0));
    }
}

#[test]
fn a_flipped_bit_loses_what_it_damaged_and_this_is_counted() {
    let (folder, bytes) = five_records();
    // A bit of each byte, and each place in a byte. That every bit counts is tested with the record.
    for bit in (0..bytes.len() * 8).step_by(7) {
        let spoiled = copy(folder.path());
        let mut with_damage = bytes.clone();
        with_damage[bit / 8] ^= 1 << (bit % 8);
        fs::write(&segments(spoiled.path())[0], with_damage).unwrap();
        let (found, lost) = read_again(spoiled.path());
        let missing: Vec<u64> = (0..5).filter(|number| !found.contains(number)).collect();
        assert!(
            found.is_sorted() && found.last() == Some(&100) && found.iter().all(|number| *number < 5 || *number == 100)
        );
        // A damaged line end damages the line behind it as well. The last record is cut off like an unfinished one.
        assert!((1..=2).contains(&missing.len()) && !found.windows(2).any(|pair| pair[0] == pair[1]), "{found:?}");
        let counted = missing.iter().filter(|_| !missing.contains(&4)).count();
        assert_eq!(lost, u64::try_from(counted).unwrap(), "bit {bit}: {found:?}");
    }
}

#[test]
fn damage_in_a_segment_that_is_not_the_last_is_passed_over_and_counted() {
    let folder = folder();
    // Segments of 4 KiB.
    let spool = Spool::open(folder.path(), 64 * 1024, &all(&["a", "b"])).unwrap();
    for number in 0..100 {
        spool.append(&available([number])).unwrap();
    }
    drop(spool);
    let files = segments(folder.path());
    assert!(files.len() > 4, "{files:?}");
    let first_of = |path: &Path| path.file_stem().unwrap().to_str().unwrap().parse::<u64>().unwrap() - 1;
    fs::remove_file(&files[1]).unwrap();
    let removed = first_of(&files[1])..first_of(&files[2]);
    let bytes = fs::read(&files[3]).unwrap();
    fs::write(&files[3], &bytes[..bytes.len() - 2]).unwrap();
    let cut = first_of(&files[4]) - 1;
    let spool = Spool::open(folder.path(), 64 * 1024, &all(&["a", "b"])).unwrap();
    let expected: Vec<u64> = (0..100).filter(|number| !removed.contains(number) && *number != cut).collect();
    for name in ["a", "b"] {
        assert_eq!(run(take(&mut spool.reader(&sink(name)).unwrap())), expected);
        assert_eq!(spool.status().unwrap().sinks[&sink(name)].lost, removed.end - removed.start + 1);
    }
    assert_eq!(segments(folder.path()).len(), 1);
}

#[test]
fn a_segment_that_somebody_removes_while_it_is_read_is_lost_and_counted() {
    let folder = folder();
    let spool = Spool::open(folder.path(), 64 * 1024, &all(&["a"])).unwrap();
    spool.append(&available(0..3)).unwrap();
    fs::remove_file(&segments(folder.path())[0]).unwrap();
    let mut reader = spool.reader(&sink("a")).unwrap();
    assert_eq!(run(take(&mut reader)), [0; 0]);
    assert_eq!(spool.status().unwrap().sinks[&sink("a")].lost, 3);
}

#[test]
fn a_damaged_position_gives_all_again_and_a_number_is_never_used_twice() {
    let (folder, _) = five_records();
    let read = |spool: &Spool| run(take(&mut spool.reader(&sink("a")).unwrap()));
    let spool = Spool::open(folder.path(), ROOMY, &all(&["a"])).unwrap();
    assert_eq!(read(&spool), [0, 1, 2, 3, 4]);
    let path = folder.path().join("positions/a");
    fs::write(&path, "0badbad0 3\n").unwrap();
    let spool = Spool::open(folder.path(), ROOMY, &all(&["a"])).unwrap();
    assert_eq!(read(&spool), [0, 1, 2, 3, 4]);
    // The log is gone, but the sink's position is not: what comes has later numbers.
    fs::remove_file(&segments(folder.path())[0]).unwrap();
    let spool = Spool::open(folder.path(), ROOMY, &all(&["a", "b"])).unwrap();
    spool.append(&available([7])).unwrap();
    let waiting = run(async { spool.reader(&sink("b")).unwrap().ready(9).await.unwrap() });
    assert_eq!((waiting[0].0, read(&spool)), (6, vec![7]));
}

#[test]
fn numbers_far_behind_the_last_record_begin_a_segment() {
    let (folder, _) = five_records();
    fs::write(folder.path().join("positions/a"), super::super::record::position_line(1_000_000)).unwrap();
    Spool::open(folder.path(), ROOMY, &all(&["a"])).unwrap().append(&available([99])).unwrap();
    assert_eq!(segments(folder.path()).len(), 2);
    assert_eq!(read_again(folder.path()), (vec![99, 100], 0));
}

#[test]
fn what_is_not_a_file_is_an_error_and_no_panic() {
    let folder = folder();
    let open = || Spool::open(folder.path(), ROOMY, &all(&["a"]));
    let segment = super::super::directory::segment_path(folder.path(), 1);
    fs::create_dir(&segment).unwrap();
    let error = open().unwrap_err();
    assert!(matches!(&error, SpoolError::Io { .. }) && error.to_string().contains("001.log"), "{error}");
    fs::remove_dir(&segment).unwrap();
    fs::create_dir_all(folder.path().join("positions/a")).unwrap();
    assert!(open().unwrap_err().to_string().contains("positions/a"));
    fs::remove_dir_all(folder.path().join("positions")).unwrap();
    fs::write(folder.path().join("positions"), "").unwrap();
    assert_eq!(open().unwrap_err().reason(), "SpoolFailed");
}
