use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::api::ImageSelection;

/// `identifier | title | os | version | arch | hypervisor`; the digest is the image's place, counted from 0.
const IMAGES: [&str; 5] = [
    "cern | CernVM 4 | Linux | 6.0 | x86_64 | KVM",
    "alma | AlmaLinux/9 | linux | 9.4 | x86_64 | QEMU,KVM",
    "arm | AlmaLinux/9 | Linux | 9.4 | aarch64 | QEMU, KVM",
    "win | Windows Server | Windows | 2022 | x86_64 | Hyper-V",
    "été | ÉTÉ | Linux | 1 | x86_64 | xen",
];

fn list() -> ImageList {
    let images: Value = IMAGES.iter().enumerate().map(|(place, line)| image(place, line)).collect();
    let endorser = json!({"hv:x509": {"hv:dn": "", "hv:ca": "", "hv:email": "", "dc:creator": ""}});
    let document = json!({"hv:imagelist": {
        "dc:date:created": "2026-11-01T00:00:00Z", "dc:date:expires": "2026-12-01T00:00:00Z",
        "dc:identifier": "list-1", "dc:title": "", "dc:description": "", "dc:source": "", "hv:version": "1.0",
        "hv:uri": "", "hv:endorser": endorser, "hv:images": images,
    }});
    ImageList::parse(document.to_string().as_bytes()).unwrap()
}

fn image(place: usize, line: &str) -> Value {
    let fields: Vec<&str> = line.split(" | ").collect();
    let identifier = if fields[0].is_ascii() { fields[0] } else { "summer" };
    json!({"hv:image": {
        "dc:identifier": identifier, "dc:title": fields[1], "sl:os": fields[2], "sl:osversion": fields[3],
        "sl:arch": fields[4], "hv:hypervisor": fields[5], "dc:description": "", "sl:comments": "", "hv:version": "1",
        "hv:size": 1, "hv:uri": "https://example.org/", "sl:checksum:sha512": format!("{place:0128}"),
    }})
}

fn selection(spec: &Value) -> Result<Selection, SelectionError> {
    let spec: ImageSelection = serde_json::from_value(spec.clone()).unwrap();
    Selection::new(&spec)
}

fn selected(spec: &Value) -> Vec<String> {
    let list = list();
    let selected = selection(spec).unwrap().select(&list);
    selected.selected.iter().map(|image| image.identifier.to_string()).collect()
}

#[test]
fn globs_over_every_field_and_either_case() {
    let all = vec!["cern", "alma", "arm", "win", "summer"];
    let cases = [
        (json!({"name": "all"}), all.clone()),
        (json!({"name": "a", "os": "LINUX"}), vec!["cern", "alma", "arm", "summer"]),
        (json!({"name": "a", "os": "linux", "arch": "x86_64", "hypervisor": "kvm"}), vec!["cern", "alma"]),
        (json!({"name": "a", "osVersion": "9.*"}), vec!["alma", "arm"]),
        (json!({"name": "a", "title": "AlmaLinux*"}), vec!["alma", "arm"]),
        (json!({"name": "a", "title": "*9"}), vec!["alma", "arm"]),
        (json!({"name": "a", "title": "CernVM ?"}), vec!["cern"]),
        (json!({"name": "a", "title": "[cw]*"}), vec!["cern", "win"]),
        (json!({"name": "a", "title": "{CernVM,Windows} *"}), vec!["cern", "win"]),
        (json!({"name": "a", "title": "été"}), vec!["summer"]),
        (json!({"name": "a", "hypervisor": "qemu,kvm"}), vec!["alma"]),
        (json!({"name": "a", "hypervisor": "qemu,*"}), vec!["alma", "arm"]),
        (json!({"name": "a", "hypervisor": "k?m"}), vec!["cern", "alma", "arm"]),
        (json!({"name": "a", "title": "CernVM"}), vec![]),
        (json!({"name": "a", "title": "Alma"}), vec![]),
    ];
    for (wanted, expected) in cases {
        assert_eq!(selected(&json!({"include": {"match": [wanted]}})), expected, "{wanted}");
        let kept: Vec<&str> = all.iter().copied().filter(|one| !expected.contains(one)).collect();
        let spec = json!({"include": {"match": [{"name": "all"}]}, "exclude": {"match": [wanted]}});
        assert_eq!(selected(&spec), kept, "excluded: {wanted}");
    }
    assert!(selected(&json!({})).is_empty(), "unset takes nothing");
}

#[test]
fn identifiers_or_match_and_exclude_wins_and_says_why() {
    let spec = json!({
        "include": {"identifiers": ["win", "gone", "arm"], "match": [{"name": "cern", "title": "cern*"}]},
        "exclude": {"identifiers": ["arm"], "match": [{"name": "old", "osVersion": "6.*"}], "sha512": [format!("{:0128}", 4)]},
    });
    let list = list();
    let outcome = selection(&spec).unwrap().select(&list);
    assert_eq!(outcome.selected.iter().map(|image| image.identifier.as_str()).collect::<Vec<_>>(), ["win"]);
    let told: Vec<_> = outcome.excluded.iter().map(|(image, by)| (image.identifier.as_str(), by.to_string())).collect();
    let expected = [("cern", "exclude.match \"old\""), ("arm", "exclude.identifiers"), ("summer", "exclude.sha512")];
    assert_eq!(told, expected.map(|(identifier, by)| (identifier, by.to_owned())));
    assert_eq!(outcome.missing, ["gone".parse().unwrap()]);
}

#[test]
fn what_is_refused_or_excluded_is_not_missing() {
    let mut list = list();
    let refused = list.images.remove(0);
    list.refused.push(crate::imagelist::RefusedImage {
        identifier: refused.identifier.to_string(),
        reason: crate::imagelist::ImageRefusal::ImageMalformed,
        message: String::new(),
    });
    let spec = json!({"include": {"identifiers": ["cern", "gone", "out"]}, "exclude": {"identifiers": ["out"]}});
    assert_eq!(selection(&spec).unwrap().select(&list).missing, ["gone".parse().unwrap()]);
}

#[test]
fn what_cannot_be_used_is_refused_with_its_field() {
    let many: Vec<String> = (0..1001).map(|number| format!("image-{number}")).collect();
    let matches: Vec<Value> = (0..33).map(|number| json!({"name": format!("m{number}")})).collect();
    let cases = [
        (json!({"include": {"identifiers": ["a", "../b"]}}), "spec.images.include.identifiers[1]: expected an identif"),
        (json!({"include": {"identifiers": ["a", "a"]}}), "spec.images.include.identifiers: expected each entry once"),
        (json!({"include": {"identifiers": many}}), "spec.images.include.identifiers: expected at most 1000 entries"),
        (json!({"exclude": {"sha512": ["abc"]}}), "spec.images.exclude.sha512[0]: expected a sha512 of 128"),
        (json!({"include": {"match": matches}}), "spec.images.include.match: expected at most 32 entries, found 33"),
        (json!({"include": {"match": [{"name": "a"}, {"name": "a"}]}}), "spec.images.include.match: expected each"),
        (json!({"include": {"match": [{"name": ""}]}}), "spec.images.include.match.name: expected a name"),
        (json!({"include": {"match": [{"name": "-a"}]}}), "spec.images.include.match.name: expected a name"),
        (json!({"include": {"match": [{"name": "A"}]}}), "spec.images.include.match.name: expected a name"),
        (json!({"include": {"match": [{"name": "x", "os": "["}]}}), "spec.images.include.match[x].os: expected a glob"),
        (
            json!({"exclude": {"match": [{"name": "x", "title": "{a"}]}}),
            "spec.images.exclude.match[x].title: expected a",
        ),
        (
            json!({"include": {"match": [{"name": "x", "arch": "a".repeat(129)}]}}),
            "spec.images.include.match[x].arch: expected a glob of at most 128 characters, found 129",
        ),
    ];
    for (spec, expected) in cases {
        let error = selection(&spec).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}

proptest! {
    #[test]
    fn no_glob_makes_it_panic_and_selected_is_disjoint_from_excluded(include in any::<String>(), exclude in "[*?a-zA-Z\\[\\]{},!\\\\-]{0,12}") {
        let spec = json!({
            "include": {"match": [{"name": "a", "title": include}]},
            "exclude": {"match": [{"name": "a", "title": exclude}]},
        });
        if let Ok(selection) = selection(&spec) {
            let list = list();
            let outcome = selection.select(&list);
            for image in &outcome.selected {
                prop_assert!(selection.excludes(image).is_none());
            }
            prop_assert!(outcome.selected.len() + outcome.excluded.len() <= list.images.len());
        }
    }

    /// A text is matched by itself, escaped, in either case.
    #[test]
    fn a_title_matches_itself(title in "[ -~]{1,60}") {
        let mut list = list();
        list.images[0].title.clone_from(&title);
        let escaped: String = title.chars().flat_map(|c| if c.is_ascii_alphanumeric() { vec![c] } else { vec!['\\', c] }).collect();
        let spec = json!({"include": {"match": [{"name": "a", "title": escaped.to_uppercase()}]}});
        prop_assert!(selection(&spec).unwrap().select(&list).selected.iter().any(|image| image.title == title));
    }
}
