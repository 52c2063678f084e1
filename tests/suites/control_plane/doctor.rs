//! `doctor` at a real API server: definitions that are missing or outdated, and rights that the account lacks.

use std::path::Path;
use std::process::Command;

use harness::control_plane::ControlPlane;
use harness::patience::until;
use serde_json::Value;

use super::operator::Tenant;
use super::rights::account;

/// The findings about the cluster: the place, the message and the command. The exit code says whether there is one.
fn findings(tenant: &Tenant<'_>, kubeconfig: &Path, more: &[&str]) -> Vec<[String; 3]> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_operator"));
    command.arg("doctor").args(["-o", "json"]).args(more).env("KUBECONFIG", kubeconfig);
    for (option, folder) in [("--volume", "volume"), ("--trust", "trust")] {
        command.arg(option).arg(tenant.site.path(folder));
    }
    std::fs::create_dir_all(tenant.site.path("volume")).unwrap();
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let list: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let of_cluster = |finding: &&Value| finding["area"] == "cluster";
    let found = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(of_cluster)
        .map(|finding| ["place", "message", "mend"].map(|field| finding[field].as_str().unwrap().to_owned()));
    let found: Vec<[String; 3]> = found.collect();
    assert_eq!(output.status.code(), Some(i32::from(!found.is_empty())), "{output:?}");
    found
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn definitions_and_rights_are_looked_at() {
    let cluster = ControlPlane::start().await;
    let tenant = Tenant::new(&cluster, "doctor").await;
    let administrator = cluster.kubeconfig();
    assert_eq!(findings(&tenant, administrator, &[]), Vec::<[String; 3]>::new());

    let restricted = account(&tenant);
    let [[place, message, mend]] = &findings(&tenant, &restricted, &["--namespace", &tenant.namespace])[..] else {
        panic!("one finding about rights");
    };
    assert!(place.ends_with(&format!("namespace {}", tenant.namespace)), "{place}");
    assert!(message.ends_with("missing: get secrets, get configmaps"), "{message}");
    assert!(mend.contains("helm upgrade"), "{mend}");
    let everywhere = findings(&tenant, &restricted, &[]);
    assert!(everywhere.len() == 1 && everywhere[0][1].contains("list endorsers"), "{everywhere:?}");

    let field = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/keepUntil";
    let patch = format!("[{{\"op\": \"remove\", \"path\": \"{field}\"}}]");
    tenant.kubectl(&["patch", "crd", "cachedimages.vmcatcher.io", "--type=json", "--patch", &patch]);
    let outdated = findings(&tenant, administrator, &[]);
    assert!(outdated.len() == 1 && outdated[0][0] == "cachedimages.vmcatcher.io", "{outdated:?}");
    assert!(outdated[0][1].ends_with("without the field .spec.keepUntil"), "{outdated:?}");
    assert_eq!(outdated[0][2], "vmcatcher-operator crds | kubectl apply -f -");

    tenant.kubectl(&["delete", "crd", "--all", "--timeout=90s"]);
    assert_eq!(findings(&tenant, administrator, &[]).len(), 4);
    // An account that may not read definitions sees it by the discovery, which follows the deletion after a moment.
    until("the missing definitions are found without a right to read them", async || {
        let found = findings(&tenant, &restricted, &["--namespace", &tenant.namespace]);
        found.iter().filter(|[_, message, _]| message == "expected the definition, found none").count() == 4
    })
    .await;
}
