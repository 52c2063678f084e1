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
