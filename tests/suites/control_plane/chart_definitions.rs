//! The definitions as objects of the release, and `helm test`.

use harness::control_plane::ControlPlane;
use harness::patience::{found, until};
use serde_json::Value;

use super::chart::{arguments, helm, install, told, workspace};
use super::operator::{Operator, Tenant};

const ENDORSER: &str = "apiVersion: vmcatcher.io/v1alpha1\nkind: Endorser\nmetadata: {name: example}\n\
                        spec: {credentials: [{name: one, x509: {subject: /CN=A, issuer: /CN=B}}]}\n";

fn ok(tenant: &Tenant<'_>, command: &[&str]) -> String {
    let namespace = ["--namespace", &tenant.namespace, "--set", "image.repository=x"];
    let namespace = if command[0] == "uninstall" { &namespace[..2] } else { &namespace[..] };
    let output = helm(tenant.plane, &[command, namespace].concat());
    assert!(output.status.success(), "{command:?}: {}", told(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// How many definitions there are, and the release that owns the first of them.
fn definitions(tenant: &Tenant<'_>) -> (usize, String) {
    let all: Value = serde_json::from_str(&tenant.kubectl(&["get", "crd", "-o", "json"])).unwrap();
    let items = all["items"].as_array().unwrap();
    let owner = items.first().map(|item| item["metadata"]["annotations"]["meta.helm.sh/release-name"].clone());
    (items.len(), owner.and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default())
}

fn uid(tenant: &Tenant<'_>) -> String {
    tenant.kubectl(&["get", "endorser", "example", "-o", "jsonpath={.metadata.uid}"])
}

async fn apply_endorser(tenant: &Tenant<'_>) {
    let file = tenant.site.path("example.yaml");
    std::fs::write(&file, ENDORSER).unwrap();
    // The API server describes a kind a moment after it was defined.
    until("an Endorser is accepted", async || {
        tenant.plane.kubectl(&tenant.namespace, &["apply", "-f", file.to_str().unwrap()]).status.success()
    })
    .await;
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn a_release_installs_upgrades_and_keeps_the_definitions() {
    let plane = ControlPlane::start().await;
    let tenant = Tenant::new(&plane, "chart").await;
    tenant.kubectl(&["delete", "crd", "--all", "--timeout=90s"]);
    ok(&tenant, &["install", "site", "charts/vmcatcher-operator"]);
    assert_eq!(definitions(&tenant), (4, "site".to_owned()));
    apply_endorser(&tenant).await;
    let before = uid(&tenant);

    // A definition of an older release is made like that of this one.
    let column = r#"[{"op": "remove", "path": "/spec/versions/0/additionalPrinterColumns/0"}]"#;
    tenant.kubectl(&["patch", "crd", "endorsers.vmcatcher.io", "--type=json", "-p", column]);
    ok(&tenant, &["upgrade", "site", "charts/vmcatcher-operator"]);
    let shown =
        tenant.kubectl(&["get", "crd", "endorsers.vmcatcher.io", "-o", "jsonpath={..additionalPrinterColumns[0]}"]);
    assert!(shown.contains("Trust"), "{shown}");

    // Another release leaves them to the first, and says so.
    let other = Tenant::new(&plane, "chart").await;
    let notes = ok(&other, &["install", "other", "charts/vmcatcher-operator", "--set", "aggregateRoles=false"]);
    assert!(notes.contains(&format!("belong to the release {}/site", tenant.namespace)), "{notes}");
    assert_eq!(definitions(&tenant), (4, "site".to_owned()));

    ok(&tenant, &["uninstall", "site"]);
    assert_eq!((definitions(&tenant).0, uid(&tenant)), (4, before), "definitions and resources stay");
}

/// The commands of docs/install.md that give the definitions to a release.
fn commands_of_the_page(tenant: &Tenant<'_>) -> String {
    let page = std::fs::read_to_string(workspace().join("docs/install.md")).unwrap();
    let (_, after) = page.split_once("### Definitions that were installed before").unwrap();
    let block = after.split("```\n").nth(1).unwrap();
    block
        .replace("--namespace vmcatcher", &format!("--namespace {}", tenant.namespace))
        .replace("release-namespace=vmcatcher", &format!("release-namespace={}", tenant.namespace))
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn definitions_that_were_installed_before_become_those_of_the_release() {
    let plane = ControlPlane::start().await;
    let tenant = Tenant::new(&plane, "chart").await;
    // As the chart was that had them in its folder crds/.
    ok(&tenant, &["install", "vmcatcher-operator", "charts/vmcatcher-operator", "--set", "crds.enabled=false"]);
    apply_endorser(&tenant).await;
    let before = uid(&tenant);
    let upgrade = ["upgrade", "vmcatcher-operator", "charts/vmcatcher-operator", "--namespace", &tenant.namespace];
    let values = ["--set", "image.repository=x"];
    let output = helm(&plane, &[&upgrade[..], &values].concat());
    assert!(!output.status.success() && told(&output).contains("invalid ownership metadata"), "{}", told(&output));
    assert_eq!(definitions(&tenant), (4, String::new()));

    let script = commands_of_the_page(&tenant);
    let done = plane.shell(&tenant.namespace, &[], &workspace(), &script);
    assert!(done.status.success(), "{script}: {}", told(&done));
    let output = helm(&plane, &[&upgrade[..], &values].concat());
    assert!(output.status.success(), "{}", told(&output));
    assert_eq!((definitions(&tenant), uid(&tenant)), ((4, "vmcatcher-operator".to_owned()), before));
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn helm_takes_them_over_if_it_is_told_to() {
    let plane = ControlPlane::start().await;
    let tenant = Tenant::new(&plane, "chart").await;
    apply_endorser(&tenant).await;
    let before = uid(&tenant);
    ok(&tenant, &["install", "site", "charts/vmcatcher-operator", "--take-ownership"]);
    assert_eq!((definitions(&tenant), uid(&tenant)), ((4, "site".to_owned()), before));
}

/// Does what a kubelet does for the pod of `helm test`: runs its command, and writes how it ended.
fn run_the_test(tenant: &Tenant<'_>, address: &str) -> bool {
    let pod: Value = serde_json::from_str(&tenant.kubectl(&["get", "pod", "site-test", "-o", "json"])).unwrap();
    let arguments = pod["spec"]["containers"][0]["args"].as_array().unwrap();
    let service = format!("http://site-test.{}:9090", tenant.namespace);
    let arguments = arguments.iter().map(|argument| argument.as_str().unwrap().replace(&service, address));
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_operator"));
    let output = command.args(arguments).output().unwrap();
    let phase = if output.status.success() { "Succeeded" } else { "Failed" };
    let patch = format!(r#"[{{"op": "replace", "path": "/status/phase", "value": "{phase}"}}]"#);
    let url = format!("/api/v1/namespaces/{}/pods/site-test/status", tenant.namespace);
    let status = [("Content-Type", "application/json-patch+json")];
    let request = http::Request::patch(url).header(status[0].0, status[0].1).body(patch.into_bytes()).unwrap();
    let client = tenant.client.clone();
    tokio::task::block_in_place(|| {
        tokio::runtime::Handle::current().block_on(client.request_text(request)).unwrap();
    });
    output.status.success()
}

/// Starts `helm test`, plays the kubelet for its pod, and returns whether the command and helm succeeded.
async fn helm_test(tenant: &Tenant<'_>, address: &str) -> (bool, bool) {
    let mut command = tenant.plane.helm();
    command.args(["test", "site", "--timeout", "60s", "--namespace", &tenant.namespace]);
    let mut running = command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    let is_there = async || {
        let pod =
            tenant.plane.kubectl(&tenant.namespace, &["get", "pod", "site-test", "-o", "jsonpath={.status.phase}"]);
        (pod.stdout == b"Pending").then_some(())
    };
    found(is_there).await.expect("helm creates the pod of the test");
    let answered = run_the_test(tenant, address);
    let ended = found(async || running.try_wait().unwrap()).await.expect("helm test ends");
    (answered, ended.success())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: tests/run makes one"]
async fn helm_test_asks_the_program() {
    let tenant = Tenant::new(ControlPlane::shared().await, "chart").await;
    let namespaces = format!("namespaces={{{}}}", tenant.namespace);
    install(&tenant, &["--set", &namespaces, "--set", "aggregateRoles=false"]);
    let kubeconfig = tenant.plane.kubeconfig_of(&tenant.namespace, "site", &tenant.site.path("site.kubeconfig"));
    let operator = Operator::start_with(&kubeconfig, &tenant.site, &arguments(&tenant));
    let address = operator.listens().await;
    assert_eq!(helm_test(&tenant, &address).await, (true, true));
    operator.stop();
    assert_eq!(helm_test(&tenant, &address).await, (false, false), "nothing answers");
}
