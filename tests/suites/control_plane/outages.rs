//! An API server that goes away while the program works.

use harness::control_plane::{ControlPlane, PATIENCE};
use harness::image_server::Resource;

use super::operator::Tenant;

const ONE: &str = "858a817e-0ca2-473f-89d3-d5bdfc51968e";

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn a_download_outlives_the_api_server() {
    const SIZE: u64 = 4_000_000;
    let plane = ControlPlane::start().await;
    let tenant = Tenant::new(&plane, "outage").await;
    let slow = Resource::pattern(1, SIZE).etag("\"one\"").rate(SIZE / 8);
    let image = tenant.site.serve_as(ONE, "1.0", slow);
    tenant.site.publish(&tenant.site.list("1.0", &[&image]));
    tenant.apply();
    let operator = tenant.start();
    let path = format!("/{ONE}-1.0.img");
    tenant.site.server.wait_for(&path, 1, SIZE / 8);
    plane.stop_api();
    tenant.site.server.wait_for(&path, 1, SIZE);
    plane.start_api();
    let back = tokio::time::timeout(PATIENCE, tenant.all_ready("1.0"));
    back.await.expect("it converges");
    assert_eq!(tenant.shelf("endorsed"), [image.entry()]);
    assert_eq!(tenant.site.server.bytes_sent(&path), SIZE, "nothing is downloaded twice");
    let (ended, _) = operator.stop();
    assert!(ended.success(), "{ended}");
}
