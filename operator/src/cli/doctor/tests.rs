use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use super::cluster::{RIGHTS, missing};
use super::finding::{Area, Finding, Level, Report};
use super::{servers, volume};
use crate::api::{Kind, ObjectKey, crds};
use crate::cache::{CacheError, Free, Inspected};
use crate::reconcile::{Probed, Trouble};

fn now() -> Timestamp {
    "2026-11-30T12:00:00Z".parse().unwrap()
}

fn asked(kind: Kind, reason: Option<&'static str>, ahead: Option<SignedDuration>) -> Probed {
    Probed {
        kind,
        key: ObjectKey::new("default", "one"),
        server: "https://images.example.org".to_owned(),
        server_time: ahead.map(|ahead| now() + ahead),
        asked_at: now(),
        trouble: reason.map(|reason| Trouble { reason, message: "expected this, found that".to_owned() }),
    }
}

#[test]
fn a_server_that_answers_well_is_no_finding() {
    for ahead in [None, Some(SignedDuration::ZERO), Some(SignedDuration::from_mins(5))] {
        assert_eq!(servers::findings(&[asked(Kind::Subscription, None, ahead), asked(Kind::Target, None, None)]), []);
    }
}

#[test]
fn each_trouble_of_a_server_has_a_command() {
    let cases = [
        (Kind::Subscription, "ServerUnreachable", Area::Lists, "curl --head https://images.example.org"),
        (Kind::Subscription, "SecretNotFound", Area::Lists, "the Secret"),
        (Kind::Target, "CloudUnreachable", Area::Clouds, "curl --head https://images.example.org"),
        (
            Kind::Target,
            "AuthenticationFailed",
            Area::Clouds,
            "renew the credentials in the Secret of CloudTarget default/one",
        ),
    ];
    for (kind, reason, area, mend) in cases {
        let found = servers::findings(&[asked(kind, Some(reason), None)]);
        let [Finding { level: Level::Wrong, area: found_area, message, mend: found_mend, .. }] = &found[..] else {
            panic!("{found:?}");
        };
        assert_eq!(*found_area, area);
        assert!(message.starts_with(reason) && found_mend.contains(mend), "{found:?}");
    }
}

#[test]
fn a_clock_that_differs_is_found_once() {
    for minutes in [-6, 6, 600] {
        let ahead = Some(SignedDuration::from_mins(minutes));
        let nearer = Some(SignedDuration::from_mins(-6));
        let found =
            servers::findings(&[asked(Kind::Subscription, None, nearer), asked(Kind::Subscription, None, ahead)]);
        assert_eq!(found.len(), 1, "{found:?}");
        let expected = now() + SignedDuration::from_mins(minutes.abs().max(6) * minutes.signum());
        assert!(found[0].area == Area::Clock && found[0].mend.contains("timedatectl"), "{found:?}");
        assert!(minutes.abs() == 6 || found[0].message.contains(&expected.to_string()), "{found:?}");
    }
}

#[test]
fn each_fault_of_a_volume_has_a_command() {
    let root = Path::new("/volume");
    let good = Inspected {
        not_writable: Vec::new(),
        holder: None,
        strangers: Vec::new(),
        takes_direct: Some(true),
        free: Free { bytes: 2, kept: 1 },
    };
    let found = |inspected| volume::findings(root, &inspected, "7:8");
    assert_eq!(found(Ok(good.clone())), []);
    let cases = [
        (
            Inspected { not_writable: vec![(PathBuf::from("/volume/state"), "no".to_owned())], ..good.clone() },
            Level::Wrong,
            "chown -R 7:8 /volume/state",
        ),
        (Inspected { free: Free { bytes: 1, kept: 1 }, ..good.clone() }, Level::Wrong, "cache du"),
        (Inspected { holder: Some("process 1".to_owned()), ..good.clone() }, Level::Note, "nothing"),
        (Inspected { takes_direct: Some(false), ..good.clone() }, Level::Note, "xfs"),
        (Inspected { strangers: vec![PathBuf::from("/volume/x")], ..good }, Level::Note, "mv /volume/x"),
    ];
    for (inspected, level, mend) in cases {
        let found = found(Ok(inspected));
        assert!(found.len() == 1 && found[0].level == level && found[0].mend.contains(mend), "{found:?}");
    }
    let none = CacheError::NoVolume { root: root.to_owned(), found: "none".to_owned() };
    assert!(found(Err(none))[0].mend.starts_with("install -d -o 7 -g 8 /volume"));
    let denied = CacheError::io("read", root)(std::io::ErrorKind::PermissionDenied.into());
    assert!(found(Err(denied))[0].mend.starts_with("chown 7:8 /volume"));
}

#[test]
fn a_definition_without_a_field_is_outdated() {
    for own in crds() {
        assert_eq!(missing(&own, &own), None);
        let mut old = own.clone();
        let schema = old.spec.versions[0].schema.as_mut().unwrap().open_api_v3_schema.as_mut().unwrap();
        let spec = schema.properties.as_mut().unwrap().get_mut("spec").unwrap();
        let field = spec.properties.as_mut().unwrap().pop_first().unwrap().0;
        assert_eq!(missing(&own, &old), Some(format!(".spec.{field}")));
        old.spec.versions[0].name = "v0".to_owned();
        assert_eq!(missing(&own, &old), Some(format!("versions: {}", own.spec.versions[0].name)));
    }
}

#[test]
fn the_rights_are_those_of_the_plain_manifests() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("config/vmcatcher-operator.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let role = crate::yaml::documents(&text)
        .map(|document| document.value().unwrap())
        .find(|object| {
            object["kind"] == "ClusterRole"
                && object.get("aggregationRule").is_none()
                && object["rules"].to_string().contains("/status")
        })
        .unwrap();
    let names = |value: &serde_json::Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    let mut given: Vec<String> = Vec::new();
    for rule in role["rules"].as_array().unwrap() {
        for (group, resource) in names(&rule["apiGroups"])
            .iter()
            .flat_map(|group| names(&rule["resources"]).into_iter().map(move |resource| (group.clone(), resource)))
        {
            given.extend(names(&rule["verbs"]).iter().map(|verb| format!("{verb} {group}/{resource}")));
        }
    }
    let mut needed: Vec<String> = RIGHTS
        .iter()
        .flat_map(|right| right.verbs.iter().map(move |verb| format!("{verb} {}/{}", right.group, right.resource)))
        .collect();
    given.sort();
    needed.sort();
    assert_eq!(needed, given);
}

#[test]
fn the_report_says_what_is_good_and_what_mends_the_rest() {
    let mut report = Report::default();
    report.add(Area::Volume, "/volume: 1 KiB free", vec![Finding::note(Area::Volume, "/volume", "slow", "xfs")]);
    assert!(report.is_good());
    report.add(Area::Trust, "/trust", vec![Finding::wrong(Area::Trust, "/trust", "no\u{1b}ne", "fetch-crl")]);
    assert!(!report.is_good());
    let found =
        "note   volume: /volume: slow\n       mend: xfs\nWRONG  trust: /trust: no\\u{1b}ne\n       mend: fetch-crl\n";
    assert_eq!(report.text(true), found);
    let all = format!("ok     volume: /volume: 1 KiB free\n--     trust: /trust\n{found}1 wrong, 1 notes\n");
    assert_eq!(report.text(false), all);
}
