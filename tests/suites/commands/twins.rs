//! Each recipe of examples/ that speaks of `kubectl` has a twin for sites without a cluster, and the twins do what they
//! say: the commands of each README, as they are there, over a site's own volume.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::image_server::Resource;
use harness::pki::Pki;
use harness::site::Site;
use jiff::SignedDuration;
use vmcatcher_operator::trust::DistinguishedName;

use super::{ONE, Ran, once};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("examples")
}

fn readme(example: &str) -> String {
    fs::read_to_string(examples().join(example).join("README.md")).unwrap()
}

/// What a README has people run, without what is for `kubectl`.
fn commands(example: &str) -> Vec<String> {
    let page = readme(example);
    let lines = page.lines().filter_map(|line| line.strip_prefix("    "));
    lines
        .filter(|line| line.starts_with("vmcatcher-operator ") || line.starts_with("openssl "))
        .map(str::to_owned)
        .collect()
}

/// The one command of a README with a text, run over a site.
fn run(site: &Site, example: &str, text: &str) -> Ran {
    let found: Vec<String> = commands(example).into_iter().filter(|command| command.contains(text)).collect();
    let [command] = found.as_slice() else { panic!("{example}: expected one command with {text:?}, found {found:?}") };
    let path = |name: &str| site.path(name).to_str().unwrap().to_owned();
    let command = command
        .replace("/var/lib/vmcatcher-operator", &path("volume"))
        .replace("/etc/grid-security/certificates", &path("trust"))
        .replace("--manifests site", &format!("--manifests {}", path("manifests")));
    let programs = site.path("programs");
    fs::create_dir_all(&programs).unwrap();
    let program = programs.join("vmcatcher-operator");
    if !program.exists() {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_operator"), &program).unwrap();
    }
    let programs = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-c", &command]).current_dir(site.path("")).env("PATH", programs);
    shell.env("VMCATCHER_TRUST", site.path("trust")).output().unwrap().into()
}

fn well(ran: Ran) -> String {
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.shown
}

/// A manifest of an example, of this site's subscription.
fn manifest(example: &str, file: &str) -> String {
    fs::read_to_string(examples().join(example).join(file)).unwrap().replace("name: atlas", "name: vo")
}

#[test]
fn who_speaks_of_kubectl_speaks_of_those_without_a_cluster_too() {
    let mut seen = 0;
    for folder in fs::read_dir(examples()).unwrap() {
        let example = folder.unwrap().file_name().into_string().unwrap();
        let page = readme(&example);
        if page.contains("    kubectl ") {
            seen += 1;
            assert!(page.contains("ithout a cluster"), "examples/{example}/README.md");
        }
    }
    assert!(seen >= 4, "{seen}");
}

#[tokio::test]
async fn an_old_version_is_pinned_and_gone_back_from() {
    let example = "pin-and-go-back";
    let site = Site::new();
    let (old, new) = (site.serve(ONE, "1.26-13", 1, 50_000), site.serve(ONE, "1.27-1", 2, 50_000));
    site.publish(&site.list("1.0", &[&old]));
    site.run().await;
    site.pass_time(SignedDuration::from_secs(2));
    site.publish(&site.list("1.1", &[&new]));
    site.run().await;
    let versions = well(run(&site, example, "image versions"));
    assert!(versions.contains("1.26-13") && versions.contains(" archive "), "{versions}");
    well(run(&site, example, " pin "));
    site.run().await;
    assert_eq!(site.shelf("endorsed"), [old.entry()]);
    well(run(&site, example, " unpin "));
    site.run().await;
    assert_eq!(site.shelf("endorsed"), [new.entry()]);
    // The same by its manifest, and by that manifest without the line.
    let text = manifest(example, "image.yaml");
    site.manifest("image", &text);
    site.run().await;
    assert_eq!(site.shelf("endorsed"), [old.entry()]);
    site.manifest("image", &text.replace("  version: 1.26-13\n", ""));
    site.run().await;
    assert_eq!(site.shelf("endorsed"), [new.entry()]);
}

#[test]
fn what_is_late_is_seen_and_tried_now() {
    let example = "what-is-late";
    let site = Site::new();
    let image = site.serve(ONE, "1", 1, 50_000);
    site.publish(&site.list("1.0", &[&image]));
    site.server.put(&format!("/{ONE}-1.img"), Resource::status(404));
    once(&site, &["-o", "none"]);
    assert!(well(run(&site, example, "get ils --volume")).contains("LATE"));
    let images = well(run(&site, example, "-o wide"));
    assert!(images.contains(ONE) && images.contains("404"), "{images}");
    let one = well(run(&site, example, "-o yaml"));
    assert!(one.contains("nextRetryTime") && one.contains("wantedSince"), "{one}");
    site.serve(ONE, "1", 1, 50_000);
    well(run(&site, example, " refresh "));
    assert_eq!(once(&site, &["-o", "none"]).code, Some(0));
    assert_eq!(site.shelf("endorsed"), [image.entry()]);
}

#[test]
fn what_is_stopped_by_a_line_catches_up_without_it() {
    let example = "stop-for-maintenance";
    let site = Site::new();
    site.forget("subscription-vo");
    let url = site.server.url("/image.list");
    let text = manifest(example, "subscription.yaml")
        .replace("https://images.example.org/image.list", &url)
        .replace("egi-appdb", "endorser");
    let going = text.replace("  suspend: true\n", "");
    assert_ne!(going, text);
    let image = site.serve(ONE, "1", 1, 50_000);
    site.publish(&site.list("1.0", &[&image]));
    site.manifest("subscription", &going);
    once(&site, &["-o", "none"]);
    let asked = || site.server.requests("/image.list").len();
    let before = asked();
    site.manifest("subscription", &text);
    well(run(&site, example, " refresh ils "));
    once(&site, &["-o", "none"]);
    assert_eq!(asked(), before, "nobody is asked while it is stopped");
    site.manifest("subscription", &going);
    assert_eq!(once(&site, &["-o", "none"]).code, Some(0));
    assert!(asked() > before);
}

#[test]
fn a_compromised_endorser_is_revoked_by_a_line() {
    let example = "endorser-compromised";
    let site = Site::new();
    let image = site.serve(ONE, "1", 1, 50_000);
    site.publish(&site.list("1.0", &[&image]));
    once(&site, &["-o", "none"]);
    site.trust("endorser", &site.pki.endorser, manifest_line(example, "trust: Revoked"));
    let ran = run(&site, example, " reconcile ");
    assert!(ran.code == Some(1) && ran.shown.contains("endorser/first is revoked"), "{ran:?}");
    assert_eq!((site.shelf("endorsed").len(), site.shelf("expired")), (0, vec![image.entry()]));
    assert!(well(run(&site, example, "cache ls")).contains("archived"));
}

/// A line that the example's manifest has, or this is no test of it.
fn manifest_line(example: &str, line: &'static str) -> &'static str {
    assert!(manifest(example, "endorser.yaml").contains(line));
    line
}

#[test]
fn who_signed_is_written_down_and_openssl_names_the_same() {
    let example = "endorser";
    let site = Site::new();
    let image = site.serve(ONE, "1", 1, 50_000);
    site.publish(&site.list("1.0", &[&image]));
    let list =
        harness::signer::sign(&site.list("1.0", &[&image]).json(), &site.pki.endorser, harness::signer::Form::Detached);
    fs::write(site.path("image.list"), list).unwrap();
    fs::write(site.path("cert.pem"), site.pki.endorser.pem().0).unwrap();
    assert!(well(run(&site, example, "list verify")).contains("Good: "));
    let written = well(run(&site, example, "from-list"));
    let read: serde_yaml::Value = serde_yaml::from_str(&written).unwrap();
    let names = &read["spec"]["credentials"][0]["x509"];
    let shown = well(run(&site, example, "openssl "));
    let openssl = |field: &str| -> DistinguishedName {
        let line = shown.lines().find_map(|line| line.strip_prefix(&format!("{field}="))).unwrap();
        line.trim().parse().unwrap()
    };
    for field in ["subject", "issuer"] {
        let ours: DistinguishedName = names[field].as_str().unwrap().parse().unwrap();
        assert_eq!(openssl(field), ours, "{shown}");
    }
    assert_eq!(read["metadata"]["name"].as_str(), Some("egi-appdb"));
}

/// The other way that the example's comment names, and the names of the examples themselves.
#[test]
fn the_names_that_openssl_prints_are_read() {
    let (folder, pki) = (tempfile::tempdir().unwrap(), Pki::new());
    let file = folder.path().join("cert.pem");
    fs::write(&file, pki.endorser.pem().0).unwrap();
    for form in ["compat", "RFC2253"] {
        let comment = manifest("endorser", "endorser.yaml");
        assert!(comment.contains(&format!("-nameopt {form}")), "{comment}");
        let mut openssl = Command::new("openssl");
        let output = openssl.args(["x509", "-noout", "-subject", "-nameopt", form, "-in"]).arg(&file).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let name: DistinguishedName = text.trim().strip_prefix("subject=").unwrap().parse().unwrap();
        assert_eq!(name, pki.endorser.subject().parse().unwrap(), "{text}");
    }
}
