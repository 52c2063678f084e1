//! Databases that are broken, changed by others, or made to do harm.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use super::old::{AGES, Machine, ONE, Old, Row};
use super::{Ran, operator};

/// Imports a file to standard output.
fn import(path: &Path) -> Ran {
    operator(&["import", "vmcatcher", path.to_str().unwrap()])
}

fn refused(path: &Path, expected: &str) {
    let ran = import(path);
    assert_eq!((ran.code, ran.shown.as_str()), (Some(3), ""), "{ran:?}");
    assert!(ran.told.contains(expected), "expected {expected:?}, found {}", ran.told);
}

#[test]
fn a_file_that_is_no_database_of_vmcatcher_is_told_as_that() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.db");
    refused(&path, "No such file");
    refused(folder.path(), "found no regular file");
    fs::write(&path, "").unwrap();
    refused(&path, "expected a SQLite database, found a file of 0 bytes");
    fs::write(&path, "[default]\nthis is the configuration\n").unwrap();
    refused(&path, "found other first bytes");
    fs::write(&path, [b"SQLite format 3\0".as_slice(), &[0xa5; 5000]].concat()).unwrap();
    refused(&path, "SQLite cannot read");
    fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE a (b)").unwrap();
    refused(&path, "expected the tables of vmcatcher, found no table endorser");
    let ran = operator(&["import", "vmcatcher", "postgresql://me:s3cret@db/vmcatcher"]);
    assert!(
        ran.code == Some(3) && ran.told.contains("database of postgresql") && !ran.told.contains("s3cret"),
        "{ran:?}"
    );
}

/// As after a disk was full: each length ends in manifests or in an error, and never in a panic.
#[test]
fn a_database_cut_off_anywhere_is_read_or_refused() {
    let machine = Machine::new(AGES[4]);
    let whole = fs::read(&machine.old.path).unwrap();
    let path = machine.site.path("cut.db");
    for length in (0..whole.len()).step_by(whole.len() / 24) {
        fs::write(&path, &whole[..length]).unwrap();
        let ran = import(&path);
        assert!(matches!(ran.code, Some(0 | 1 | 3)) && !ran.told.contains("panicked"), "{length}: {ran:?}");
        let mut spoilt = whole.clone();
        spoilt[length..].iter_mut().take(64).for_each(|byte| *byte = !*byte);
        fs::write(&path, &spoilt).unwrap();
        let ran = import(&path);
        assert!(matches!(ran.code, Some(0 | 1 | 3)) && !ran.told.contains("panicked"), "{length}: {ran:?}");
    }
}

#[test]
fn views_virtual_tables_and_triggers_are_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let old = Old::new(folder.path(), AGES[4]);
    let view = "DROP TABLE endorser; CREATE VIEW endorser AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 \
                FROM n) SELECT id, 'endless' AS identifier FROM n";
    old.connection.execute_batch(view).unwrap();
    refused(&old.path, "found no table endorser");
    let folder = tempfile::tempdir().unwrap();
    let old = Old::new(folder.path(), AGES[4]);
    let generated = "DROP TABLE subscription; CREATE TABLE subscription (id INTEGER PRIMARY KEY, identifier TEXT, uri TEXT, \
                     password AS (hex(zeroblob(20000000)))); INSERT INTO subscription (identifier, uri) VALUES ('a', 'b')";
    old.connection.execute_batch(generated).unwrap();
    let ran = import(&old.path);
    assert!(ran.code == Some(1) && ran.told.contains("no endorser is linked to it"), "it is not computed: {ran:?}");
}

#[test]
fn a_database_that_others_change_is_left_alone() {
    let machine = Machine::new(AGES[4]);
    let locked = Connection::open(&machine.old.path).unwrap();
    locked.execute_batch("BEGIN EXCLUSIVE").unwrap();
    refused(&machine.old.path, "found it locked by another process");
    locked.execute_batch("ROLLBACK").unwrap();
    drop(locked);
    assert_eq!(import(&machine.old.path).code, Some(0));
    let logged = Connection::open(&machine.old.path).unwrap();
    logged.execute_batch("PRAGMA journal_mode = WAL; INSERT INTO endorser VALUES (7, 'late')").unwrap();
    refused(&machine.old.path, "found a write-ahead log beside it");
    drop(logged);
    drop(machine.old.connection);
    // The last one that closes it writes the log into the file.
    assert_eq!(import(&machine.old.path).code, Some(0));
    fs::write(machine.site.path("vmcatcher.db-journal"), "left by a crash").unwrap();
    refused(&machine.old.path, "found a journal beside it");
}

/// Each odd row is named with its reason, and spoils no other.
#[test]
fn odd_values_are_told_with_their_row() {
    let machine = Machine::new(AGES[4]);
    let huge = "x".repeat(100_000);
    let database = &machine.old.connection;
    database.execute("INSERT INTO endorser VALUES (10, ?1)", ["name\nkind: Secret\u{1b}[2J"]).unwrap();
    database.execute("INSERT INTO \"endorserPrincible\" VALUES (10, '/CN=a\n/CN=b', '/CN=ca', 10)", []).unwrap();
    database.execute("INSERT INTO \"endorserPrincible\" VALUES (11, 'no name', '/CN=ca', 10)", []).unwrap();
    database.execute("INSERT INTO \"endorserPrincible\" VALUES (12, '/CN=c', '/CN=ca', 99)", []).unwrap();
    let odd: [(i64, &str, &str); 4] = [
        (20, "x'00ff'", "2 bytes that are no text"),
        (21, "'a' || char(0) || 'b'", "a text with NUL"),
        (22, "CAST(x'ff' AS TEXT)", "a text that is not UTF-8"),
        (24, "'HUGE'", "a text of 100000 bytes"),
    ];
    for (id, value, _) in &odd {
        let value = value.replace("HUGE", &huge);
        let insert = format!("INSERT INTO \"ImageDefinition\" VALUES ({id}, {value}, 1, 1, 1)");
        database.execute_batch(&insert).unwrap();
    }
    database.execute("INSERT INTO \"ImageDefinition\" VALUES (29, 'half', 1, 0.5, 1)", []).unwrap();
    database.execute("INSERT INTO \"ImageDefinition\" VALUES (30, '../../evil', 1, 1, 1)", []).unwrap();
    database.execute("INSERT INTO \"ImageDefinition\" VALUES (31, 'alone', 1, 1, 77)", []).unwrap();
    let server = machine.site.server.url("/other.list");
    machine.old.subscription(&Row::new(2, "no address", "ftp://example.org/list"), 1);
    machine.old.subscription(&Row::new(3, "not-linked", &server), 99);
    let before = fs::read(&machine.old.path).unwrap();
    let ran = machine.import(&[]);
    assert_eq!(ran.code, Some(1), "{}", ran.told);
    for (_, _, expected) in odd {
        assert!(ran.told.contains(expected), "{expected}: {}", ran.told);
    }
    for expected in [
        "../../evil",
        "found a number with a fraction",
        "expected a distinguished name",
        "its subscription is not in the manifests",
    ] {
        assert!(ran.told.contains(expected), "{expected}: {}", ran.told);
    }
    for expected in ["expected an identifier", "no endorser is linked to it", "its endorser is not in the database"] {
        assert!(ran.told.contains(expected), "{expected}: {}", ran.told);
    }
    assert!(ran.told.chars().all(|c| c == '\n' || !c.is_control()), "{:?}", ran.told);
    assert_eq!(fs::read(&machine.old.path).unwrap(), before, "the database is only read");
    let made = fs::read_to_string(machine.site.path("manifests/subscriptions.yaml")).unwrap();
    assert!(made.contains(ONE) && !made.contains("kind: Secret"), "{made}");
}
