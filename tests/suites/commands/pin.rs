//! `pin` and `unpin`: going back and forth without an API server.

use std::fs;

use harness::site::{Served, Site};
use jiff::SignedDuration;

use super::{ONE, Ran, once, over};

/// A site that had two versions of an image, one after the other.
async fn two_versions() -> (Site, [Served; 2]) {
    let site = Site::new();
    let (old, new) = (site.serve(ONE, "1.0", 1, 50_000), site.serve(ONE, "2.0", 2, 50_000));
    site.publish(&site.list("1.0", &[&old]));
    site.run().await;
    site.pass_time(SignedDuration::from_secs(2));
    site.publish(&site.list("1.1", &[&new]));
    site.run().await;
    assert_eq!(site.shelf("endorsed"), [new.entry()]);
    (site, [old, new])
}

fn write(site: &Site, arguments: &[&str]) -> Ran {
    let manifests = site.path("manifests");
    over(site, &[arguments, &["--manifests", manifests.to_str().unwrap()]].concat())
}

#[tokio::test]
async fn a_pin_is_a_file_that_unpin_removes() {
    let (site, [old, new]) = two_versions().await;
    let file = site.path(&format!("manifests/pin-{ONE}.yaml"));
    let shown = write(&site, &["pin", ONE, "1.0"]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(shown.told.contains("nothing was written") && !file.exists(), "{shown:?}");
    let written = write(&site, &["pin", ONE, "1.0", "--write"]);
    assert_eq!((written.code, written.shown), (Some(0), format!("made {}\n", file.display())));
    assert_eq!(fs::read_to_string(&file).unwrap(), shown.shown, "what is shown is what is written");
    assert!(shown.shown.contains("\n  version: '1.0'\n"), "{}", shown.shown);
    site.run().await;
    assert_eq!(site.shelf("endorsed"), [old.entry()]);

    // By its content, in the same file.
    let digest = format!("sha512:{}", &new.sha512[..12].to_uppercase());
    let again = write(&site, &["pin", ONE, &digest, "--write"]);
    assert!(again.code == Some(0) && again.shown.starts_with("changed "), "{again:?}");
    assert!(fs::read_to_string(&file).unwrap().ends_with(&format!("  sha512: {}\n", new.sha512)));
    site.run().await;
    assert_eq!(site.shelf("endorsed"), [new.entry()]);
    write(&site, &["pin", ONE, &old.sha512, "--write"]);
    site.run().await;
    assert_eq!(site.shelf("endorsed"), [old.entry()]);

    let kept = write(&site, &["unpin", ONE]);
    assert!(kept.code == Some(0) && kept.shown.starts_with("remove ") && file.exists(), "{kept:?}");
    let removed = write(&site, &["unpin", ONE, "--write"]);
    assert!(removed.code == Some(0) && removed.shown.starts_with("removed ") && !file.exists(), "{removed:?}");
    site.run().await;
    assert_eq!(site.shelf("endorsed"), [new.entry()]);
    let none = write(&site, &["unpin", ONE, "--write"]);
    assert!(none.code == Some(1) && none.told.contains("is not pinned"), "{none:?}");
}

/// A manifest that a person wrote keeps all that the person wrote.
#[tokio::test]
async fn a_persons_manifest_is_changed_by_its_line() {
    let (site, [old, new]) = two_versions().await;
    let text = format!(
        "# Ours.\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\n---\n# Kept for the physicists.\n\
         apiVersion: vmcatcher.io/v1alpha1\nkind: CachedImage\nmetadata:\n  name: {ONE}\nspec:\n  subscriptionRef: {{name: \
         vo}} # the VO's\n  identifier: {ONE}\n  keepUntil: \"2099-01-01T00:00:00Z\"\n"
    );
    site.manifest("ours", &text);
    let file = site.path("manifests/ours.yaml");
    let read = || fs::read_to_string(&file).unwrap();
    let shown = write(&site, &["pin", ONE, "1.0"]);
    assert!(shown.shown.starts_with("---\n# Kept for") && read() == text, "{shown:?}");
    assert_eq!(write(&site, &["pin", ONE, "1.0", "--write"]).code, Some(0));
    assert_eq!(read(), text.replace("  keepUntil", "  version: '1.0'\n  keepUntil"));
    site.run().await;
    assert_eq!(site.shelf("endorsed"), [old.entry()]);
    assert_eq!(write(&site, &["unpin", ONE, "--write"]).code, Some(0));
    assert_eq!(read(), text);
    site.run().await;
    assert_eq!(site.shelf("endorsed"), [new.entry()]);

    // One that cannot be changed by a line is not changed at all, and what to do is said.
    let flow = format!(
        "apiVersion: vmcatcher.io/v1alpha1\nkind: CachedImage\nmetadata: {{name: {ONE}}}\nspec: {{subscriptionRef: {{name: \
         vo}}, identifier: {ONE}}}\n"
    );
    site.manifest("ours", &flow);
    let refused = write(&site, &["pin", ONE, "1.0", "--write"]);
    assert!(refused.code == Some(3) && read() == flow, "{refused:?}");
    assert!(refused.told.contains("change spec by hand: version: 1.0, no sha512"), "{refused:?}");
}

#[tokio::test]
async fn what_is_mistyped_is_told_and_changes_nothing() {
    let (site, [_, new]) = two_versions().await;
    let cases: [(&[&str], i32, &str); 8] = [
        (&["pin", ONE, "1.00"], 1, "they had 2.0 ("),
        (&["pin", ONE, "sha512:00000000"], 1, "they had 2.0 ("),
        (&["pin", ONE, "sha512:0"], 2, "expected 8 to 128 hexadecimal digits"),
        (&["pin", ONE, "sha512:zzzzzzzzzz"], 2, "expected 8 to 128 hexadecimal digits"),
        (&["pin", "other", "1.0"], 1, "NotFound: no image \"other\""),
        (&["pin", "../x", "1.0"], 2, "identifier"),
        (&["pin", ONE], 2, "required"),
        (&["unpin", "other"], 1, "NotFound: no image \"other\""),
    ];
    let before = fs::read_dir(site.path("manifests")).unwrap().count();
    for (arguments, code, expected) in cases {
        let ran = write(&site, &[arguments, &["--write"]].concat());
        assert!(ran.code == Some(code) && ran.told.to_lowercase().contains(&expected.to_lowercase()), "{ran:?}");
    }
    assert_eq!(fs::read_dir(site.path("manifests")).unwrap().count(), before);
    let no_folder = over(&site, &["pin", ONE, "1.0", "--write"]);
    assert_eq!(no_folder.code, Some(2), "{no_folder:?}");
    let anywhere = over(&site, &["pin", ONE, "1.0"]);
    assert!(anywhere.code == Some(0) && anywhere.shown.contains("kind: CachedImage"), "{anywhere:?}");
    // The name is taken by something else.
    site.manifest(&format!("pin-{ONE}"), "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: mine}\n");
    let taken = write(&site, &["pin", ONE, "1.0", "--write"]);
    assert!(taken.code == Some(3) && taken.told.contains("speaks of something else"), "{taken:?}");
    assert_eq!(once(&site, &["-o", "none"]).code, Some(0));
    assert_eq!(site.shelf("endorsed"), [new.entry()]);
}

/// An image that the subscription does not select is taken by its pin, and goes back to nothing without it.
#[tokio::test]
async fn an_image_that_is_only_available_can_be_pinned() {
    let site = Site::new();
    let (one, two) = (site.serve(ONE, "1", 1, 50_000), site.serve("two", "1", 2, 50_000));
    site.subscribe_to("vo", &site.server.url("/image.list"), &format!("images: {{include: {{identifiers: [{ONE}]}}}}"));
    site.publish(&site.list("1.0", &[&one, &two]));
    site.run().await;
    assert_eq!(write(&site, &["pin", "two", "1", "--write"]).code, Some(0));
    site.run().await;
    assert_eq!(site.shelf("endorsed"), [one.entry(), two.entry()]);
}
