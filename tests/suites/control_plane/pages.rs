//! The web pages of a program on a cluster: the same as those over a folder of manifests.

use harness::control_plane::ControlPlane;
use harness::patience::found;

use super::operator::{Operator, Tenant};

const ONE: &str = "858a817e-0ca2-473f-89d3-d5bdfc51968e";

/// The address of the pages, once they are served.
async fn address(operator: &Operator) -> String {
    let address = found(async || {
        let told = operator.told();
        let (address, _) = told.split_once("web pages are served address=")?.1.split_once('\n')?;
        Some(format!("http://{}", address.trim()))
    });
    address.await.expect("the pages are served")
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn a_cluster_has_the_same_pages() {
    let tenant = Tenant::new(ControlPlane::shared().await, "pages").await;
    let image = tenant.site.serve(ONE, "1.0", 1, 300_000);
    tenant.site.publish(&tenant.site.list("1.0", &[&image]));
    let arguments = Operator::arguments(&tenant.site, &tenant.namespace, &["--pages", "127.0.0.1:0"]);
    let operator = Operator::start_with(tenant.plane.kubeconfig(), &tenant.site, &arguments);
    tenant.apply();
    tenant.all_ready("1.0").await;
    let (base, namespace) = (address(&operator).await, &tenant.namespace);
    let client = reqwest::Client::new();
    let get = async |path: &str| {
        let response = client.get(format!("{base}{path}")).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let path = format!("/images/{namespace}/{ONE}/{}/download", image.sha512);
    for (page, expected) in [
        ("/".to_owned(), "<strong>1</strong> Images</a> <span>1 good"),
        ("/subscriptions".to_owned(), "1 of 1 ready"),
        (format!("/subscriptions/{namespace}/vo"), "signer leads to a trust anchor"),
        ("/images".to_owned(), "1 image<"),
        (format!("/images/{namespace}/{ONE}"), path.as_str()),
        ("/endorsers".to_owned(), "Trusted"),
        ("/clouds".to_owned(), "published in no cloud"),
    ] {
        let (status, text) = get(&page).await;
        assert!(status == 200 && text.contains(expected), "expected {expected} on {page}, found {text}");
    }
    let bytes = client.get(format!("{base}{path}")).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(bytes.len() as u64, image.size);
    operator.stop();
}
