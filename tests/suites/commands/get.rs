//! `get`: what is kept, and what is not there.

use harness::site::Site;

use super::{ONE, once, operator, over};

fn site() -> Site {
    let site = Site::new();
    let image = site.serve(ONE, "1", 1, 50_000);
    site.publish(&site.list("1.0", &[&image]));
    let ran = once(&site, &["-o", "none"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    site
}

#[test]
fn an_object_that_is_not_there_is_not_found() {
    let site = site();
    let cases: [(&[&str], &str); 4] = [
        (&["get", "cimg", "gone"], "NotFound: cachedimages.vmcatcher.io \"gone\""),
        (&["get", "ils", "gone", "-o", "json"], "NotFound: imagelistsubscriptions.vmcatcher.io \"gone\""),
        (&["get", "endorsers", "endorser", "-n", "b"], "endorsers.vmcatcher.io \"endorser\" in the namespace \"b\""),
        (&["get", "all", "gone"], "NotFound: resource \"gone\""),
    ];
    for (arguments, expected) in cases {
        let ran = over(&site, arguments);
        assert_eq!((ran.code, ran.shown.as_str()), (Some(1), ""), "{ran:?}");
        assert!(ran.told.contains(expected), "{ran:?}");
    }
    for arguments in [&["get", "cimg", ONE][..], &["get", "ils", "vo"], &["get"], &["get", "cloudtargets"]] {
        assert_eq!(over(&site, arguments).code, Some(0), "{arguments:?}");
    }
    assert_eq!(over(&site, &["get", "cmig", ONE]).code, Some(2), "a kind that there is not");
    let nowhere = operator(&["get", "--volume", site.path("elsewhere").to_str().unwrap()]);
    assert_eq!(nowhere.code, Some(3), "{nowhere:?}");
}

#[test]
fn an_image_without_a_target_is_published_nowhere() {
    let table = over(&site(), &["get", "cimg"]).shown;
    let (head, row) = (table.lines().nth(1).unwrap(), table.lines().nth(2).unwrap());
    assert!(row[head.find("PUBLISHED").unwrap()..].starts_with("- "), "{table}");
    assert!(row.contains(" 48.82 KiB "), "{table}");
}

/// What there is to choose from, whether the site chose it or not.
#[test]
fn every_image_of_the_lists_in_force_is_available() {
    let site = Site::new();
    let (one, two, three) =
        (site.serve(ONE, "1", 1, 50_000), site.serve("two", "2", 2, 50_000), site.serve("three", "3", 3, 50_000));
    site.publish(&site.list("1.0", &[&one, &two, &three]));
    let url = site.server.url("/image.list");
    site.subscribe_to(
        "vo",
        &url,
        &format!("images: {{include: {{identifiers: [{ONE}]}}, exclude: {{identifiers: [two]}}}}"),
    );
    once(&site, &["-o", "none"]);
    let table = over(&site, &["get", "images", "--available"]);
    assert_eq!(table.code, Some(0), "{table:?}");
    let rows: Vec<Vec<&str>> =
        table.shown.lines().skip(1).map(|line| line.split_whitespace().take(5).collect()).collect();
    let row = |identifier, version, selected| vec!["default", "vo", identifier, version, selected];
    assert_eq!(rows, [row(ONE, "1", "yes"), row("two", "2", "excluded"), row("three", "3", "no")], "{table:?}");
    let json = over(&site, &["get", "images", "three", "--available", "-o", "json"]).shown;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((json.as_array().unwrap().len(), &json[0]["sha512"]), (1, &three.sha512.into()));
    assert_eq!(json[0]["size"], 50_000);
    let none = over(&site, &["get", "images", "four", "--available"]);
    assert!(none.code == Some(1) && none.told.contains("NotFound"), "{none:?}");
    assert_eq!(over(&site, &["get", "ils", "--available"]).code, Some(2));
    // A list that is not where it must be is no reason to say that this is all.
    std::fs::remove_dir_all(site.path("volume/lists/default/vo")).unwrap();
    let lost = over(&site, &["get", "images", "--available"]);
    assert!(lost.code == Some(1) && lost.told.contains("expected its list 1.0 on the volume"), "{lost:?}");
}
