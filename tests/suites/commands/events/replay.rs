//! A sink gets again what the spool still has.

use std::fs;

use serde_json::Value;

use super::{Logged, Ran, field, operator, over};
use crate::reconcile::process::Running;

fn replay(logged: &Logged, more: &[&str]) -> Ran {
    let config = logged.config();
    over(&logged.0, &[&["events", "replay", "--config", &config], more].concat())
}

#[test]
fn a_sink_gets_the_events_of_the_spool_a_second_time() {
    let logged = Logged::new();
    logged.publish(1);
    logged.run();
    let first = logged.delivered();
    let count = first.len();
    let ran = replay(&logged, &["--sink", "log", "--all"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let expected = format!("the next run sends {count} events to log again, from number 1 on, the first one of 20");
    assert!(ran.shown.starts_with(&expected) && !ran.told.contains("not in the spool any more"), "{ran:?}");
    let again = replay(&logged, &["--sink", "log", "--all"]);
    let expected =
        format!("no event is sent to log again: there is none that it had from there on; {count} events waited");
    assert!(again.code == Some(0) && again.shown.starts_with(&expected), "{again:?}");
    assert_eq!(logged.delivered().len(), count, "only the operator sends them");
    logged.run();
    let second = logged.delivered();
    assert_eq!(second[count..2 * count], first, "the same events, with the same ids");
    assert_eq!(field(&second[2 * count..], "event"), ["Process"], "and those of the second run");

    let from = (count - 1).to_string();
    let ran = replay(&logged, &["--sink", "log", "--from", &from]);
    assert!(ran.shown.starts_with("the next run sends 3 events to log again"), "{ran:?}");
    logged.run();
    assert_eq!(logged.delivered()[2 * count + 1..2 * count + 3], first[count - 2..]);
    let ahead = replay(&logged, &["--sink", "log", "--from", "1000"]);
    assert!(ahead.code == Some(1) && ahead.shown.starts_with("no event is sent to log again"), "{ahead:?}");
    assert_eq!(replay(&logged, &["--sink", "log"]).code, Some(2), "which ones has to be said");
}

#[test]
fn a_time_is_where_it_begins() {
    let logged = Logged::new();
    logged.publish(1);
    logged.run();
    let first = logged.delivered();
    logged.publish(2);
    logged.run();
    let second: Vec<Value> = logged.delivered().split_off(first.len());
    let time = second[0]["time"].as_str().unwrap();
    let ran = replay(&logged, &["--sink", "log", "--since", time]);
    let expected =
        format!("the next run sends {} events to log again, from number {} on", second.len(), first.len() + 1);
    assert!(ran.code == Some(0) && ran.shown.starts_with(&expected), "{expected} {ran:?}");
    let ago = replay(&logged, &["--sink", "log", "--since", "24h"]);
    let expected = format!("the next run sends {} events to log again, from number 1 on", first.len());
    assert!(ago.shown.starts_with(&expected) && ago.shown.contains("waited for it already"), "{ago:?}");
    let future = replay(&logged, &["--sink", "log", "--since", "2999-01-01T00:00:00Z"]);
    assert!(future.shown.starts_with("no event is sent to log again"), "{future:?}");
    let bad = replay(&logged, &["--sink", "log", "--since", "yesterday"]);
    assert!(bad.code == Some(2) && bad.told.contains("expected a time such as"), "{bad:?}");
}

#[test]
fn what_the_spool_has_not_any_more_is_said() {
    let logged = Logged::new();
    logged.publish(1);
    logged.run();
    let spool = logged.0.path("volume/spool");
    let (first, third) = (spool.join(format!("{:020}.log", 1)), spool.join(format!("{:020}.log", 3)));
    let text = fs::read_to_string(&first).unwrap();
    fs::write(&third, text.split_inclusive('\n').skip(2).collect::<String>()).unwrap();
    fs::remove_file(&first).unwrap();
    let count = logged.delivered().len();
    let lacking = "events before number 3 (20";
    for which in [&["--all"][..], &["--from", "2"], &["--since", "24h"]] {
        let ran = replay(&logged, &[&["--sink", "log"], which].concat());
        assert!(ran.code == Some(0) && ran.told.contains(lacking), "{which:?} {ran:?}");
    }
    let ran = replay(&logged, &["--sink", "log", "--from", "3"]);
    assert!(!ran.told.contains(lacking), "{ran:?}");
    logged.run();
    assert_eq!(logged.delivered().len(), count + count - 2 + 1);
    fs::remove_dir_all(&spool).unwrap();
    let nothing = replay(&logged, &["--sink", "log", "--all"]);
    assert!(nothing.code == Some(1) && nothing.told.contains("no event is in the spool"), "{nothing:?}");
}

#[test]
fn a_volume_in_use_another_configuration_and_an_unknown_sink_change_nothing() {
    let logged = Logged::new();
    logged.publish(1);
    let config = logged.config();
    let mut running = Running::start_with(&logged.0, &["--config", &config]);
    running.wait_for("ImageDownloaded");
    let locked = replay(&logged, &["--sink", "log", "--all"]);
    assert_eq!((locked.code, locked.shown.as_str()), (Some(3), ""));
    assert!(locked.told.contains("only if no operator uses the volume"), "{locked:?}");
    assert!(
        locked.told.contains("is in use by") && locked.told.contains("wait until it ends, or stop it"),
        "{locked:?}"
    );
    assert!(running.terminate().success());
    let position = || fs::read(logged.0.path("volume/spool/positions/log")).unwrap();
    let before = position();

    let unknown = replay(&logged, &["--sink", "lgo", "--all"]);
    assert!(unknown.code == Some(2) && unknown.told.contains("has log; is it log?"), "{unknown:?}");
    logged.configure("{name: other, file: {path: /tmp/other}}");
    let other = replay(&logged, &["--sink", "other", "--all"]);
    assert!(other.code == Some(2) && other.told.contains("found one without log"), "{other:?}");
    fs::write(&config, "events: {sink: []}").unwrap();
    let wrong = replay(&logged, &["--sink", "log", "--all"]);
    assert!(wrong.code == Some(2) && wrong.told.contains("configuration.yaml:1: "), "{wrong:?}");
    assert_eq!(position(), before);
    let nowhere = ["events", "replay", "--config", &config, "--sink", "log", "--all", "--volume", "/nonexistent/v"];
    logged.configure("{name: log, file: {path: /tmp/other}}");
    let nowhere = operator(&nowhere);
    assert!(nowhere.code == Some(3) && nowhere.told.contains("/nonexistent/v"), "{nowhere:?}");
}
