//! Runs under cron: mail comes when something changed or failed, and then says what.

use harness::image_server::Resource;
use harness::site::Site;

use super::{ONE, once};

#[test]
fn quiet_tells_changes_and_failures_and_nothing_else() {
    let site = Site::new();
    let image = site.serve(ONE, "1", 1, 50_000);
    site.publish(&site.list("1.0", &[&image]));
    let first = once(&site, &["--quiet"]);
    assert_eq!((first.code, first.shown.as_str()), (Some(0), ""), "{first:?}");
    assert!(first.told.contains("ListAccepted") && first.told.contains("ImageDownloaded"), "{first:?}");
    let second = once(&site, &["-q"]);
    assert_eq!((second.code, second.shown.as_str(), second.told.as_str()), (Some(0), "", ""), "nothing changed");

    site.server.put("/image.list", Resource::status(500));
    for _ in 0..2 {
        let failed = once(&site, &["-q"]);
        assert_eq!(failed.code, Some(1), "{failed:?}");
        assert!(failed.shown.contains("ImageListSubscription\n") && failed.shown.contains("vo"), "{failed:?}");
        assert!(!failed.shown.contains(ONE), "the image is well: {failed:?}");
    }
    let whole = once(&site, &["-q", "-o", "table"]);
    assert!(whole.shown.contains(ONE) && whole.shown.contains("48.82 KiB"), "asked for by name: {whole:?}");
    let none = once(&site, &["-o", "none"]);
    assert_eq!((none.code, none.shown.as_str()), (Some(1), ""), "{none:?}");
}
