//! An API server that does not know the kinds.

use harness::control_plane::ControlPlane;
use harness::patience::until;
use vmcatcher_operator::api::crds;

use super::operator::{Operator, Tenant};

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn missing_definitions_are_one_line_with_the_command() {
    let plane = ControlPlane::start().await;
    let tenant = Tenant::new(&plane, "missing").await;
    let image = tenant.site.serve("858a817e-0ca2-473f-89d3-d5bdfc51968e", "1.0", 1, 20_000);
    tenant.site.publish(&tenant.site.list("1.0", &[&image]));
    tenant.kubectl(&["delete", "crd", "--all", "--timeout=90s"]);
    let arguments = Operator::arguments(&tenant.site, &tenant.namespace, &["--listen", "127.0.0.1:0"]);
    let operator = Operator::start_with(plane.kubeconfig(), &tenant.site, &arguments);
    let ready = format!("{}/readyz", operator.listens().await);
    let kinds = "CachedImage, CloudTarget, Endorser, ImageListSubscription";
    until("/readyz names the kinds and the command", async || {
        let answer = reqwest::get(&ready).await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        status == 503 && text.contains(kinds) && text.contains("vmcatcher-operator crds | kubectl apply")
    })
    .await;
    let told = operator.told();
    assert_eq!(told.matches("kubectl apply").count(), 1, "{told}");
    assert!(!told.contains("Status {") && !told.contains("watch was interrupted"), "{told}");
    let file = tenant.site.path("crds.json");
    let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": crds()});
    std::fs::write(&file, list.to_string()).unwrap();
    // A server before 1.25 does not know the rules in them.
    tenant.kubectl(&["create", "--validate=false", "-f", file.to_str().unwrap()]);
    tenant.kubectl(&["wait", "crd", "--all", "--for=condition=Established", "--timeout=90s"]);
    operator.tells("the API server knows all kinds now").await;
    until("ready", async || reqwest::get(&ready).await.unwrap().status().as_u16() == 200).await;
}
