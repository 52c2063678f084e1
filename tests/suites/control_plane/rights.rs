//! What the program's account may not do is told, and holds nothing else up.

use harness::control_plane::ControlPlane;
use vmcatcher_operator::api::{HasConditions, ImageListSubscription};

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
    allow(&tenant, "token", &tenant.site.server.address().to_string());
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

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn a_secret_and_a_config_map_that_change_act_at_once() {
    let tenant = Tenant::new(ControlPlane::shared().await, "named").await;
    let image = tenant.site.serve(ONE, "1.0", 1, 30_000);
    tenant.site.publish(&tenant.site.list("1.0", &[&image]));
    let message = tenant.site.server.url("/guarded.list");
    let list = harness::signer::sign(
        &tenant.site.list("1.0", &[&image]).json(),
        &tenant.site.pki.endorser,
        harness::signer::Form::Detached,
    );
    let guarded = harness::image_server::Resource::bytes(list).basic("s3cret", "x-oauth-basic");
    tenant.site.server.put("/guarded.list", guarded);
    let source = format!("source: {{url: {message:?}, secretRef: {{name: token}}}}");
    tenant.site.manifest(
        "guarded",
        &format!(
            "apiVersion: vmcatcher.io/v1alpha1\nkind: ImageListSubscription\nmetadata: {{name: vo}}\nspec:\n  {source}\n  \
             verify: {{endorserRefs: [{{name: endorser}}]}}\n  images: {{include: {{match: [{{name: all}}]}}}}\n"
        ),
    );
    tenant.site.forget("subscription-vo");
    let empty = tenant.site.path("empty");
    std::fs::write(&empty, "").unwrap();
    let anchors = |from: &str| format!("--from-file={}", tenant.site.path(from).display());
    tenant.kubectl(&["create", "configmap", "anchors", &anchors("empty")]);
    tenant.site.trust("endorser", &tenant.site.pki.endorser, "trustAnchors: {configMapRef: {name: anchors}}");
    tenant.kubectl(&["create", "secret", "generic", "token", "--from-literal=token=wrong"]);
    allow(&tenant, "token", &tenant.site.server.address().to_string());
    tenant.apply();
    let _operator = tenant.start();
    tenant.kubectl(&["wait", "ils/vo", "--for=condition=FetchFailed", "--timeout=90s"]);

    // The list comes with the right token, and is believed with the right anchors: nobody asks for a pass.
    tenant.kubectl(&["patch", "secret", "token", "--type=merge", "--patch", r#"{"stringData": {"token": "s3cret"}}"#]);
    tenant
        .subscription_until("a list that nobody vouches for", |object| {
            let verified = object.status.as_ref().and_then(|status| status.condition("SourceVerified"));
            verified.is_some_and(|found| found.status == "False")
        })
        .await;
    tenant.kubectl(&["delete", "configmap", "anchors"]);
    tenant.kubectl(&["create", "configmap", "anchors", &anchors("trust")]);
    tenant.all_ready("1.0").await;
}

/// Somebody who may write subscriptions, and not read Secrets, names an address of their own and any Secret.
#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn credentials_go_only_where_their_secret_says() {
    let tenant = Tenant::new(ControlPlane::shared().await, "credentials").await;
    let image = tenant.site.serve(ONE, "1.0", 1, 30_000);
    tenant.site.publish(&tenant.site.list("1.0", &[&image]));
    tenant.kubectl(&["create", "secret", "generic", "deploy", "--from-literal=token=s3cret"]);
    tenant.kubectl(&["create", "serviceaccount", "deployer"]);
    let manifest = tenant.site.path("account-token.yaml");
    let account_token = "apiVersion: v1\nkind: Secret\ntype: kubernetes.io/service-account-token\nmetadata:\n  name: \
                         account\n  annotations: {kubernetes.io/service-account.name: deployer, \
                         vmcatcher.io/allowed-hosts: '*', vmcatcher.io/allow-plain-http: 'true'}\n";
    std::fs::write(&manifest, account_token).unwrap();
    tenant.kubectl(&["apply", "-f", manifest.to_str().unwrap()]);
    tenant.kubectl(&["wait", "secret/account", "--for=jsonpath={.data.token}", "--timeout=60s"]);
    tenant.apply();
    let _operator = tenant.start();
    tenant.all_ready("1.0").await;
    let asked = tenant.site.server.requests("/image.list").len();

    let names = |secret: &str| {
        let patch = format!("{{\"spec\": {{\"source\": {{\"secretRef\": {{\"name\": {secret:?}}}}}}}}}");
        tenant.kubectl(&["patch", "ils", "vo", "--type=merge", "--patch", &patch]);
    };
    let says = async |words: &'static str| {
        let told = tenant.subscription_until(words, |object| {
            let failed = object.status.as_ref().and_then(|status| status.condition("FetchFailed"));
            failed.is_some_and(|failed| failed.reason == "CredentialsNotAllowed" && failed.message.contains(words))
        });
        told.await;
    };
    names("account");
    says("kubernetes.io/service-account-token").await;
    names("deploy");
    says("found none").await;
    allow(&tenant, "deploy", "lists.example.org");
    says("does not name 127.0.0.1:").await;
    assert_eq!(tenant.site.server.requests("/image.list").len(), asked, "nothing was sent");
    // The word of whoever may write the Secret is enough, and acts at once.
    allow(&tenant, "deploy", &tenant.site.server.address().to_string());
    // It was ready all the time.
    let is_fetched =
        |object: &ImageListSubscription| object.status.as_ref().is_some_and(|status| !status.is_true("FetchFailed"));
    tenant.subscription_until("fetched", is_fetched).await;
    let sent = tenant.site.server.requests("/image.list");
    assert!(sent[asked..].iter().any(|request| request.headers.contains_key("authorization")), "{sent:?}");
}

/// Lets a Secret's credentials go to a host, over http too.
fn allow(tenant: &Tenant<'_>, secret: &str, host: &str) {
    let hosts = format!("vmcatcher.io/allowed-hosts={host}");
    tenant.kubectl(&["annotate", "--overwrite", "secret", secret, &hosts, "vmcatcher.io/allow-plain-http=true"]);
}

/// The credentials of an account that may do everything that the program needs, but read Secrets.
pub(super) fn account(tenant: &Tenant<'_>) -> std::path::PathBuf {
    tenant.kubectl(&["create", "serviceaccount", "operator"]);
    let role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: operator}\nrules:\n- {apiGroups: \
                [vmcatcher.io], resources: ['*'], verbs: ['*']}\n- {apiGroups: [''], resources: [events], \
                verbs: [create, patch]}\n";
    let path = tenant.site.path("role.yaml");
    std::fs::write(&path, role).unwrap();
    tenant.kubectl(&["apply", "-f", path.to_str().unwrap()]);
    let user = format!("--serviceaccount={}:operator", tenant.namespace);
    tenant.kubectl(&["create", "rolebinding", "operator", "--role=operator", &user]);
    tenant.plane.kubeconfig_of(&tenant.namespace, "operator", &tenant.site.path("operator.kubeconfig"))
}
