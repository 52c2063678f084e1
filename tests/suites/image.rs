//! The container image that `tests/image/build` built from the Containerfile: what is in it, and that it works as its own
//! user, without rights, on a root that cannot be written.

use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use harness::disk_image::qcow2;
use harness::image_server::Resource;
use harness::opennebula::{Cloud, Dialect};
use harness::site::Site;
use serde_json::Value;

const IDENTIFIER: &str = "858a817e-0ca2-473f-89d3-d5bdfc51968e";
const USER: u32 = 65532;

/// Where `tests/image/build` has put it.
fn built() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".cache")));
    cache.expect("HOME is set").join("vmcatcher-operator/image")
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("image")
}

fn read_json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Runs the image's program with folders in the places of its volumes.
fn run(binds: &[(&Path, &str)], arguments: &[&str]) -> Output {
    let mut command = Command::new(scripts().join("start"));
    command.arg(built().join("root"));
    for (source, target) in binds {
        command.arg("--bind").arg(format!("{}:{target}", source.display()));
    }
    command.args(["--", "/usr/bin/vmcatcher-operator"]).args(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// All files of the image, below its root.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            files(&entry.path(), found);
        }
        found.push(entry.path());
    }
}

#[test]
#[ignore = "needs the container image: tests/image/build"]
fn its_configuration_says_what_it_is() {
    let config = read_json(&built().join("image.json"))["OCIv1"]["config"].clone();
    assert_eq!((&config["User"], &config["Cmd"][0]), (&"65532:65532".into(), &"--help".into()));
    assert_eq!(config["Entrypoint"][0], "/usr/bin/vmcatcher-operator");
    let label = |name: &str| config["Labels"][format!("org.opencontainers.image.{name}")].as_str().unwrap().to_owned();
    assert_eq!(label("version"), env!("CARGO_PKG_VERSION"));
    assert_eq!((label("title").as_str(), label("licenses").as_str()), ("vmcatcher-operator", "Apache-2.0"));
    assert!(label("revision").len() == 40 && label("description").len() > 20);
    let version = run(&[], &["--version"]);
    assert_eq!(text(&version), format!("vmcatcher-operator {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
#[ignore = "needs the container image: tests/image/build"]
fn its_bill_of_materials_is_valid_and_whole() {
    let root = built().join("root");
    let file = root.join("usr/share/doc/vmcatcher-operator/sbom.cdx.json");
    let mut python = Command::new(built().join("validator/bin/python"));
    let valid = python.arg(scripts().join("validate.py")).arg(&file).output().unwrap();
    assert!(valid.status.success(), "{}", text(&valid));
    let document = read_json(&file);
    assert_eq!(document["metadata"]["component"]["name"], "vmcatcher-operator");
    let components = document["components"].as_array().unwrap();
    let purls: BTreeSet<&str> = components.iter().map(|component| component["purl"].as_str().unwrap()).collect();
    assert_eq!(purls.len(), components.len(), "each once");
    // Every crate of the lock file that is compiled into it, and no test's.
    for name in ["openssl", "kube", "tokio"] {
        assert!(purls.iter().any(|purl| purl.starts_with(&format!("pkg:cargo/{name}@"))), "{name}");
    }
    assert!(!purls.iter().any(|purl| purl.contains("vmcatcher-tests")));
    for entry in std::fs::read_dir(root.join("var/lib/dpkg/status.d")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(purls.iter().any(|purl| purl.starts_with(&format!("pkg:deb/debian/{name}@"))), "{name}");
    }
    let cargo = components.iter().filter(|component| component["purl"].as_str().unwrap().starts_with("pkg:cargo"));
    for component in cargo {
        assert!(component["hashes"][0]["content"].is_string() && component["licenses"].is_array(), "{component}");
    }
}

#[test]
#[ignore = "needs the container image: tests/image/build"]
fn nothing_in_it_can_be_written_or_gives_rights() {
    let root = built().join("root");
    let mut all = Vec::new();
    files(&root, &mut all);
    assert!(all.len() > 50, "{}", all.len());
    for path in all {
        let found = std::fs::symlink_metadata(&path).unwrap();
        let mode = found.permissions().mode();
        assert_eq!(mode & 0o6000, 0, "{}: set-user-id", path.display());
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
        let owner = if name == "var/lib/vmcatcher" { USER } else { 0 };
        assert_eq!(found.uid(), owner, "{name}");
        assert!(found.is_symlink() || mode & 0o002 == 0 || name == "tmp", "{name}: everybody may write it");
        let barred = ["sh", "bash", "dash", "busybox", "apt-get"];
        assert!(found.is_dir() || !barred.iter().any(|program| path.ends_with(program)), "{name}");
    }
}

/// A cloud that takes raw disks only, and reads them on the site's volume.
fn cloud(site: &Site) -> Cloud {
    let cloud = Cloud::start(Dialect::V5_12);
    let volume = site.path("volume");
    cloud.world(|world| {
        world.clock = site.now().as_second();
        world.reads(&volume);
    });
    let target = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: one-auth}}\nstringData: {{one_auth: \"oneadmin:opennebula-test\"}}\n\
         ---\napiVersion: vmcatcher.io/v1alpha1\nkind: CloudTarget\nmetadata: {{name: one}}\nspec:\n  type: OpenNebula\n  \
         formats: [raw]\n  openNebula:\n    endpoint: {}\n    secretRef: {{name: one-auth}}\n    datastore: default\n    \
         handOver: {{type: Path, path: {{prefix: {}}}}}\n",
        cloud.endpoint(),
        volume.display()
    );
    site.manifest("target", &target);
    cloud
}

#[test]
#[ignore = "needs the container image: tests/image/build"]
fn it_keeps_a_site_as_a_user_without_rights() {
    let site = Site::new();
    let cloud = cloud(&site);
    let image = site.serve_as(IDENTIFIER, "1", Resource::bytes(qcow2(1 << 20, b"disk")));
    site.publish(&site.list("1.0", &[&image]));
    site.subscribe("targetRefs: [{name: one}]");
    let [volume, manifests, trust] = ["volume", "manifests", "trust"].map(|name| site.path(name));
    std::fs::create_dir_all(&volume).unwrap();
    std::os::unix::fs::chown(&volume, Some(USER), Some(USER)).unwrap();
    let trust_place = "/etc/grid-security/certificates";
    // It has no folder for manifests, which a cluster does not need: they are below the volume here.
    let inside = volume.join("site");
    std::fs::create_dir(&inside).unwrap();
    for entry in std::fs::read_dir(&manifests).unwrap().map(Result::unwrap) {
        std::fs::copy(entry.path(), inside.join(entry.file_name())).unwrap();
    }
    let binds: [(&Path, &str); 2] = [(&volume, "/var/lib/vmcatcher"), (&trust, trust_place)];
    let folders = ["--volume", "/var/lib/vmcatcher", "--manifests", "/var/lib/vmcatcher/site", "--trust", trust_place];
    let output = run(&binds, &[&["reconcile", "--once"][..], &folders].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    // The conversion to raw ran qemu-img, confined by the tools that are in the image.
    assert_eq!(cloud.world(|world| world.named(IDENTIFIER).len()), 1, "{}", text(&output));
    let driver = cloud.world(|world| world.named(IDENTIFIER)[0].attributes.get("DRIVER").cloned());
    assert_eq!(driver.as_deref(), Some("raw"));
    let endorsed = volume.join("endorsed/default").join(IDENTIFIER);
    let file = std::fs::read_dir(endorsed).unwrap().next().unwrap().unwrap().path();
    assert_eq!(std::fs::metadata(file).unwrap().uid(), USER);
}
