//! Many images: what each of them costs the API server. (`benches/many_images.rs` has 2,000, and a minute of nothing.)

use harness::control_plane::ControlPlane;

use super::operator::{Operator, Tenant};
use super::proxy::Proxy;

const COUNT: u64 = 100;

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn a_pass_that_changes_nothing_asks_nothing_and_writes_nothing() {
    let tenant = Tenant::new(ControlPlane::shared().await, "many").await;
    let proxy = Proxy::start(tenant.plane).await;
    let serve = |number| tenant.site.serve(&format!("{number:08x}-0000-4000-8000-000000000000"), "1.0", number, 4096);
    let images: Vec<_> = (0..COUNT).map(serve).collect();
    tenant.site.publish(&tenant.site.list("1.0", &images.iter().collect::<Vec<_>>()));
    tenant.apply();
    let kubeconfig = proxy.kubeconfig(&tenant.site.path("proxy.kubeconfig"));
    let arguments = Operator::arguments(&tenant.site, &tenant.namespace, &["--verbose"]);
    let operator = Operator::start_with(&kubeconfig, &tenant.site, &arguments);
    tenant.all_ready("1.0").await;
    let (asked, _) = proxy.passed();
    // Made, told to be on its way, told to be there, and an event.
    assert!(asked <= 6 * COUNT, "{asked} requests for {COUNT} images");
    operator.stop();

    // Another program looks at each of them, and finds nothing to do.
    let before = proxy.passed();
    let operator = Operator::start_with(&kubeconfig, &tenant.site, &arguments);
    for image in &images {
        operator
            .tells(&format!(
                "the plan: nothing to do kind=CachedImage object={}/{}",
                tenant.namespace, image.identifier
            ))
            .await;
    }
    operator.stop();
    let after = proxy.passed();
    assert_eq!(after.1 - before.1, 0, "nothing is written");
    assert!(after.0 - before.0 <= 20, "{} requests, though four lists and four watches do", after.0 - before.0);
}
