//! Images that change all the time hold nothing else up.

use harness::control_plane::ControlPlane;
use harness::patience::PATIENCE;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use vmcatcher_operator::api::{CachedImage, HasConditions};

use super::operator::{Tenant, ready};

const ONE: &str = "858a817e-0ca2-473f-89d3-d5bdfc51968e";
const TWO: &str = "aaaaaaaa-0ca2-473f-89d3-d5bdfc51968e";

/// Changes an image again and again.
async fn disturb(images: Api<CachedImage>) {
    for number in 0_u64.. {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {"example.org/number": number.to_string()}}}));
        images.patch(ONE, &PatchParams::default(), &patch).await.unwrap();
    }
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn a_new_list_and_a_revocation_do_not_wait_until_images_are_quiet() {
    let tenant = Tenant::new(ControlPlane::shared().await, "churn").await;
    let (one, two) = (tenant.site.serve(ONE, "1.0", 1, 30_000), tenant.site.serve(TWO, "1.0", 2, 30_000));
    tenant.site.publish(&tenant.site.list("1.0", &[&one]));
    tenant.apply();
    let _operator = tenant.start();
    tenant.all_ready("1.0").await;

    let acts = async {
        tenant.site.publish(&tenant.site.list("2.0", &[&one, &two]));
        tenant.request("now");
        tenant.image_until(TWO, "1.0 ready", |image| ready(image, "1.0")).await;
        tenant.kubectl(&["patch", "endorser", "endorser", "--type=merge", "-p", r#"{"spec": {"trust": "Revoked"}}"#]);
        let out = |image: Option<&CachedImage>| {
            let status = image.and_then(|image| image.status.as_ref());
            status
                .is_some_and(|status| status.condition("Endorsed").is_some_and(|told| told.reason == "EndorserRevoked"))
        };
        tenant.image_until(ONE, "out", out).await;
    };
    tokio::select! {
        acted = tokio::time::timeout(PATIENCE * 2, acts) => acted.unwrap(),
        _ = futures::future::join_all((0..6).map(|_| disturb(tenant.images()))) => unreachable!("they go on for ever"),
    }
    assert_eq!(tenant.shelf("endorsed"), [""; 0]);
}
