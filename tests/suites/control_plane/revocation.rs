//! CRLs that the program fetches itself, as the chart has it: a signer who is on the newest one is believed no more.

use harness::control_plane::ControlPlane;
use harness::image_server::Resource;
use harness::pki::Reason;
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use vmcatcher_operator::api::{CachedImage, ImageListSubscription};

use super::chart::{arguments, install};
use super::operator::{Operator, Tenant};

const ONE: &str = "858a817e-0ca2-473f-89d3-d5bdfc51968e";

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn a_signer_whom_a_fetched_crl_revokes_takes_what_is_published_along() {
    let tenant = Tenant::new(ControlPlane::shared().await, "revocation").await;
    let site = &tenant.site;
    let (authority, now) = (&site.pki.intermediate, site.now());
    let hash = format!("{:08x}", authority.certificate.subject_name_hash());
    let address = site.server.url("/crl");
    std::fs::write(site.path("trust").join(format!("{hash}.crl_url")), format!("{address}\n")).unwrap();
    let (minute, day) = (SignedDuration::from_mins(1), SignedDuration::from_hours(24));
    let nobody = authority.crl(now).valid(now - minute * 30, now + day);
    site.server.put("/crl", Resource::bytes(nobody.der()).etag("\"nobody\""));
    let image = site.serve(ONE, "1.0", 1, 30_000);
    site.publish(&site.list("1.0", &[&image]));
    let own = format!("namespaces={{{}}}", tenant.namespace);
    install(&tenant, &["--set", &own, "--set", "trust.existingClaim=cas,trust.refreshCRLs=6"]);
    let account = tenant.plane.kubeconfig_of(&tenant.namespace, "site", &site.path("site.kubeconfig"));
    tenant.apply();
    let operator = Operator::start_with(&account, site, &arguments(&tenant));
    operator.tells("a new CRL").await;
    tenant.all_ready("1.0").await;
    assert_eq!(tenant.shelf("endorsed"), [image.entry()]);
    operator.stop();

    // The authority revokes the signer; the list's server has nothing to say of that.
    let revoked =
        authority.crl(now).valid(now - minute * 10, now + day).revoke(&site.pki.endorser, Some(Reason::KeyCompromise));
    site.server.put("/crl", Resource::bytes(revoked.pem()).etag("\"revoked\""));
    let operator = Operator::start_with(&account, site, &arguments(&tenant));
    operator.tells("a new CRL").await;
    let reason = |conditions: &[Condition], name: &str, expected: &str| {
        conditions.iter().any(|found| found.type_ == name && found.status == "False" && found.reason == expected)
    };
    let withdrawn = |object: &ImageListSubscription| {
        object.status.as_ref().is_some_and(|status| reason(&status.conditions, "Ready", "CertificateRevoked"))
    };
    tenant.subscription_until("a list that is withdrawn", withdrawn).await;
    let out = |image: Option<&CachedImage>| {
        let conditions = image.and_then(|image| image.status.as_ref()).map(|status| status.conditions.as_slice());
        conditions.is_some_and(|all| reason(all, "Endorsed", "CertificateRevoked") && reason(all, "Cached", "Archived"))
    };
    tenant.image_until(ONE, "an image that is out", out).await;
    assert_eq!((tenant.shelf("endorsed"), tenant.shelf("expired")), (Vec::new(), vec![image.entry()]));
    assert!(!operator.told().contains("forbidden"), "{}", operator.told());
}
