//! The chart as Flux's source-controller packs it, and the recipe of docs/install.md.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use harness::control_plane::ControlPlane;
use serde::Deserialize as _;
use serde_json::Value;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Copies what an archive of Flux has: folders and regular files, no symbolic link.
fn pack(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        let copy = to.join(entry.file_name());
        if kind.is_dir() {
            pack(&entry.path(), &copy);
        } else if kind.is_file() {
            std::fs::copy(entry.path(), copy).unwrap();
        }
    }
}

/// The objects of the recipe.
fn recipe() -> Vec<Value> {
    let text = std::fs::read_to_string(workspace().join("docs/install.md")).unwrap();
    let (_, flux) = text.split_once("\nFlux: ").unwrap();
    let (flux, _) = flux.split_once("\nArgo CD").unwrap();
    let blocks = flux.split("```yaml\n").skip(1).map(|block| block.split_once("```").unwrap().0);
    let objects = blocks.flat_map(serde_yaml::Deserializer::from_str).map(Value::deserialize);
    objects.map(Result::unwrap).collect()
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn flux_installs_the_definitions_by_the_recipe() {
    let plane = ControlPlane::shared().await;
    let archive = tempfile::tempdir().unwrap();
    pack(&workspace().join("charts"), &archive.path().join("charts"));
    let recipe = recipe();
    let of = |kind: &str| -> Vec<&Value> { recipe.iter().filter(|object| object["kind"] == kind).collect() };
    let names = |kind: &str| -> BTreeSet<&str> {
        of(kind).iter().map(|object| object["metadata"]["name"].as_str().unwrap()).collect()
    };
    let release = of("HelmRelease")[0];
    let chart = &release["spec"]["chart"]["spec"];
    // They are objects of the release, which upgrades them.
    assert!(release["spec"]["install"].is_null() && release["spec"]["values"]["crds"].is_null(), "{release}");
    let values = archive.path().join("values.json");
    std::fs::write(&values, release["spec"]["values"].to_string()).unwrap();
    for command in [&["template", "site"][..], &["package"], &["lint"]] {
        let mut helm = plane.helm();
        helm.current_dir(archive.path()).args(command).arg(chart["chart"].as_str().unwrap());
        if command[0] != "package" {
            helm.arg("--values").arg(&values);
        }
        if command[0] == "template" {
            helm.args(["--namespace", "vmcatcher"]);
        }
        let output = helm.output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{command:?}: {told}{}", String::from_utf8_lossy(&output.stderr));
        let definitions = told.matches("kind: CustomResourceDefinition").count();
        assert_eq!(definitions, if command[0] == "template" { 4 } else { 0 }, "{command:?}");
    }
    // What is named is there, and nothing waits for ever.
    let (sources, kustomizations) = (names("GitRepository"), names("Kustomization"));
    let references = of("Kustomization").into_iter().map(|object| &object["spec"]).chain([chart]);
    for reference in references.map(|spec| &spec["sourceRef"]) {
        assert_eq!(reference["kind"], "GitRepository");
        assert!(sources.contains(reference["name"].as_str().unwrap()), "{reference}");
    }
    let images = of("Kustomization").into_iter().find(|object| object["metadata"]["name"] == "images").unwrap();
    let first = images["spec"]["dependsOn"][0]["name"].as_str().unwrap();
    assert!(kustomizations.contains(first) && first != "images");
    for object in of("Kustomization").into_iter().chain(of("HelmRelease")) {
        assert!(object["spec"]["timeout"].is_string() && object["spec"]["interval"].is_string(), "{object}");
    }
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn no_storage_class_can_be_said() {
    let plane = ControlPlane::shared().await;
    for (value, expected) in
        [(None, None), (Some(""), Some("storageClassName: \"\"")), (Some("nfs"), Some("storageClassName: \"nfs\""))]
    {
        let mut helm = plane.helm();
        helm.current_dir(workspace()).args([
            "template",
            "site",
            "charts/vmcatcher-operator",
            "--set",
            "image.repository=x",
        ]);
        if let Some(value) = value {
            helm.args(["--set-string", &format!("volume.storageClassName={value}")]);
        }
        let output = helm.output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        match expected {
            Some(expected) => assert!(told.contains(expected), "{value:?}: {told}"),
            None => assert!(!told.contains("storageClassName"), "{told}"),
        }
    }
}
