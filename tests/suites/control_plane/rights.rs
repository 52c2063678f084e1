//! What the program's account may not do is told, and holds nothing else up.

use harness::control_plane::ControlPlane;
use vmcatcher_operator::api::HasConditions;

use super::operator::{Operator, Tenant};

const ONE: &str = "858a817e-0ca2-473f-89d3-d5bdfc51968e";

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn a_denied_secret_is_told_where_it_is_missed() {
    let tenant = Tenant::new(ControlPlane::shared().await, "rights").await;
    let image = tenant.site.serve(ONE, "1.0", 1, 30_000);
    tenant.site.publish(&tenant.site.list("1.0", &[&image]));
    let list = tenant.site.server.url("/image.list");
    tenant.site.manifest(
        "subscription-with-secret",
        &format!(
            "apiVersion: vmcatcher.io/v1alpha1\nkind: ImageListSubscription\nmetadata: {{name: secret}}\nspec:\n  \
             source: {{url: {list:?}, secretRef: {{name: token}}}}\n  verify: {{endorserRefs: [{{name: endorser}}]}}\n"
        ),
    );
    tenant.apply();
    tenant.kubectl(&["create", "secret", "generic", "token", "--from-literal=token=s3cret"]);
    let kubeconfig = account(&tenant);
    let operator = Operator::start(&kubeconfig, &tenant.site, &tenant.namespace);
    tenant.all_ready("1.0").await;
    tenant.kubectl(&["wait", "ils/secret", "--for=condition=FetchFailed", "--timeout=90s"]);
    let denied = tenant.subscriptions().get("secret").await.unwrap().status.unwrap();
    let told = denied.condition("FetchFailed").unwrap();
    assert_eq!(told.reason, "NotAuthorized");
    assert!(told.message.contains("secrets \"token\" is forbidden"), "{}", told.message);
    assert!(!operator.told().contains("s3cret"));

    let namespace = &tenant.namespace;
    tenant.kubectl(&["create", "role", "secrets", "--verb=get", "--resource=secrets"]);
    let user = format!("--serviceaccount={namespace}:operator");
    tenant.kubectl(&["create", "rolebinding", "secrets", "--role=secrets", &user]);
    tenant.kubectl(&["annotate", "ils", "secret", "vmcatcher.io/requestedAt=now"]);
    tenant.kubectl(&["wait", "ils/secret", "--for=condition=Ready", "--timeout=90s"]);
}

/// The credentials of an account that may do everything that the program needs, but read Secrets.
fn account(tenant: &Tenant<'_>) -> std::path::PathBuf {
    tenant.kubectl(&["create", "serviceaccount", "operator"]);
    let role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: operator}\nrules:\n- {apiGroups: \
                [vmcatcher.io], resources: ['*'], verbs: ['*']}\n- {apiGroups: [events.k8s.io], resources: [events], \
                verbs: [create, patch]}\n";
    let path = tenant.site.path("role.yaml");
    std::fs::write(&path, role).unwrap();
    tenant.kubectl(&["apply", "-f", path.to_str().unwrap()]);
    let user = format!("--serviceaccount={}:operator", tenant.namespace);
    tenant.kubectl(&["create", "rolebinding", "operator", "--role=operator", &user]);
    tenant.plane.kubeconfig_of(&tenant.namespace, "operator", &tenant.site.path("operator.kubeconfig"))
}
