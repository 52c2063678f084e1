//! A folder of manifests of which some are not understood, as people see it: rows, logs, exit codes, and `--check`.

use std::process::{Command, Output};

use harness::site::Site;
use serde_json::Value;

use super::process::{operator, text};

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const MISSPELT: &str = "# one\napiVersion: vmcatcher.io/v1alpha1\nkind: ImageListSubscription\nmetadata: {name: other}\nspec:\n  \
                        source:\n    uri: https://example.org/list\n  verify: {endorserRefs: [{name: endorser}]}\n";
const EXPECTED: &str = "spec.source.uri: expected checksums, oci, secretRef, simpleStreams, tls or url, found this field; did you mean url?";

fn site() -> Site {
    let site = Site::new();
    let image = site.serve(A, "1", 1, 50_000);
    site.publish(&site.list("1.0", &[&image]));
    site.manifest("app", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n");
    site
}

fn get(site: &Site, more: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_operator"));
    text(&command.arg("get").arg("--volume").arg(site.path("volume")).args(more).output().unwrap())
}

fn check(site: &Site, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_operator"));
    command.args(["reconcile", "--check", "--manifests"]).arg(site.path("manifests")).args(more);
    command.env_remove("VMCATCHER_VOLUME").output().unwrap()
}

#[test]
fn what_is_not_understood_is_a_row_until_it_is_mended() {
    let site = site();
    site.manifest("misspelt", MISSPELT);
    let run = operator(&site, &["--once"]).output().unwrap();
    assert_eq!(run.status.code(), Some(1), "{}", text(&run));
    let (table, log) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    let row = |shown: &str| {
        shown.lines().any(|line| line.starts_with("misspelt.yaml  1         7") && line.ends_with(EXPECTED))
    };
    assert!(row(&table), "{table}");
    assert_eq!(log.matches(EXPECTED).count(), 1, "told once: {log}");
    let line = log.lines().find(|line| line.contains(EXPECTED)).unwrap();
    assert!(line.contains("path=misspelt.yaml document=1 line=7"), "{line}");
    assert!(!log.contains("Deployment"), "{log}");
    assert!(row(&get(&site, &[])), "{}", get(&site, &[]));
    assert!(!get(&site, &["endorsers"]).contains("misspelt"));
    let json: Value = serde_json::from_str(&get(&site, &["-o", "json"])).unwrap();
    let problem = json["items"].as_array().unwrap().iter().find(|item| item["kind"] == "ManifestProblem").unwrap();
    assert_eq!((&problem["file"], &problem["line"]), (&"misspelt.yaml".into(), &7.into()), "{problem}");
    assert!(get(&site, &["-o", "yaml"]).contains("kind: ManifestProblem\nfile: misspelt.yaml\ndocument: 1\n"));

    site.manifest(
        "misspelt",
        &MISSPELT.replace("uri: https://example.org/list", &format!("url: {}", site.server.url("/image.list"))),
    );
    let mended = operator(&site, &["--once", "-v"]).output().unwrap();
    let told = text(&mended);
    assert!(!told.contains(EXPECTED) && !get(&site, &[]).contains("misspelt.yaml"), "{told}");
    assert!(told.contains("passed over in the folder of manifests: 1 apps/v1 Deployment"), "{told}");
}

#[test]
fn each_thing_is_told_once_in_a_run() {
    let site = site();
    site.manifest("misspelt", MISSPELT);
    site.subscribe_to("odd", &site.server.url("/image.list"), "interval: soon");
    let run = operator(&site, &["--once"]).output().unwrap();
    let log = String::from_utf8_lossy(&run.stderr).into_owned();
    let mut warnings: Vec<&str> =
        log.lines().filter_map(|line| line.split_once(" WARN ")).map(|(_, told)| told).collect();
    assert!(
        warnings.iter().any(|told| told.contains("interval") && told.contains("path=subscription-odd.yaml")),
        "{log}"
    );
    let count = warnings.len();
    warnings.sort_unstable();
    warnings.dedup();
    assert_eq!(warnings.len(), count, "{log}");
}

#[test]
fn a_check_asks_nobody_and_writes_nothing() {
    let site = site();
    let good = check(&site, &[]);
    assert_eq!(good.status.code(), Some(0), "{}", text(&good));
    let told = text(&good);
    assert!(told.contains(&format!("{} every 6h", site.server.url("/image.list"))), "{told}");
    assert!(
        told.contains("passed over: 1 apps/v1 Deployment\n") && told.ends_with("2 objects, 0 problems\n"),
        "{told}"
    );

    site.manifest("misspelt", MISSPELT);
    let more = "targetRefs: [{name: cloud}]\n  interval: 1s\n";
    let url = site.server.url("/image.list?key=s3cret");
    site.subscribe_to("odd", &url, &format!("{more}  suspend: true"));
    site.manifest("image", &format!(
        "apiVersion: vmcatcher.io/v1alpha1\nkind: CachedImage\nmetadata: {{name: {A}}}\nspec: {{subscriptionRef: {{name: nobody}}, \
         identifier: {A}}}\n"
    ));
    let bad = check(&site, &[]);
    assert_eq!(bad.status.code(), Some(1), "{}", text(&bad));
    let told = text(&bad);
    for expected in [
        EXPECTED,
        "spec.interval: ",
        "spec.targetRefs: expected the CloudTarget default/cloud, found none",
        "spec.subscriptionRef: expected the ImageListSubscription default/nobody, found none",
        "nothing, while suspend is true",
        "4 objects, 4 problems",
    ] {
        assert!(told.contains(expected), "{expected} in\n{told}");
    }
    let quiet = check(&site, &["-q"]);
    assert!(!text(&quiet).contains("Endorser ") && text(&quiet).contains(EXPECTED), "{}", text(&quiet));
    let json: Value = serde_json::from_slice(&check(&site, &["-o", "json"]).stdout).unwrap();
    let problems = json["items"].as_array().unwrap().iter().filter(|item| item["kind"] == "ManifestProblem");
    assert_eq!(problems.count(), 1, "{json}");
    assert!(!told.contains("s3cret"), "{told}");

    assert_eq!(site.server.requests("/image.list").len(), 0);
    assert!(!site.path("volume").exists() && !site.path("manifests/resources").exists());
    std::fs::rename(site.path("manifests"), site.path("elsewhere")).unwrap();
    assert_eq!(check(&site, &[]).status.code(), Some(3));
    let both = operator(&site, &["--once", "--check"]).output().unwrap();
    assert_eq!(both.status.code(), Some(2), "{}", text(&both));
    let mut without = Command::new(env!("CARGO_BIN_EXE_operator"));
    let without =
        without.args(["reconcile", "--once", "--manifests", "x"]).env_remove("VMCATCHER_VOLUME").output().unwrap();
    assert_eq!(without.status.code(), Some(2), "a volume is asked for: {}", text(&without));
}
