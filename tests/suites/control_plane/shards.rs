//! Several programs that divide the namespaces among them.

use harness::control_plane::ControlPlane;
use vmcatcher_operator::store::kubernetes::Shard;

use super::operator::{Operator, Tenant};

const ONE: &str = "858a817e-0ca2-473f-89d3-d5bdfc51968e";

/// A tenant whose namespace is in this shard of two, with one image.
async fn tenant_of(shard: Shard) -> Tenant<'static> {
    let plane = ControlPlane::shared().await;
    loop {
        let tenant = Tenant::new(plane, "shards").await;
        if shard.has(&tenant.namespace) {
            let image = tenant.site.serve(ONE, "1.0", 1, 100_000);
            tenant.site.publish(&tenant.site.list("1.0", &[&image]));
            return tenant;
        }
    }
}

/// A program for both namespaces, with the volume and the Leases of the first one.
fn start(first: &Tenant<'_>, second: &Tenant<'_>) -> Operator {
    let more = ["--leader-election", "--lease-namespace", &first.namespace, "--shards", "2"];
    let arguments =
        Operator::arguments(&first.site, &second.namespace, &[&["--namespace", &first.namespace], &more[..]].concat());
    Operator::start_with(first.plane.kubeconfig(), &first.site, &arguments)
}

fn folder(tenant: &Tenant<'_>, shard: Shard, namespace: &str) -> std::path::PathBuf {
    tenant.site.path(&format!("volume/shard-{}/endorsed/{namespace}", shard.index()))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: tests/run makes one"]
async fn each_works_for_its_namespaces_and_one_that_waits_follows_one_that_is_killed() {
    let shards: Vec<Shard> = Shard::all(2.try_into().unwrap()).collect();
    let (first, second) = (tenant_of(shards[0]).await, tenant_of(shards[1]).await);
    let operators = [start(&first, &second), start(&first, &second), start(&first, &second)];
    let lead = async |shard: &str| {
        let leads = async || operators.iter().position(|operator| operator.told().contains(shard));
        harness::patience::found(leads).await.unwrap_or_else(|| panic!("no program works for {shard}"))
    };
    let leaders = [lead("works for shard 0 of 2").await, lead("works for shard 1 of 2").await];
    assert_ne!(leaders[0], leaders[1], "a program leads one shard");
    first.apply();
    second.apply();
    first.all_ready("1.0").await;
    second.all_ready("1.0").await;
    for (tenant, own, other) in [(&first, shards[0], shards[1]), (&second, shards[1], shards[0])] {
        assert!(folder(&first, own, &tenant.namespace).join(ONE).is_dir());
        assert!(!folder(&first, other, &tenant.namespace).exists(), "no other program works for it");
    }

    let waiting = 3 - leaders[0] - leaders[1];
    let mut operators = operators.map(Some);
    operators[leaders[1]].take().unwrap().kill();
    let follower = operators[waiting].as_ref().unwrap();
    follower.tells("works for shard 1 of 2").await;
    let image = second.site.serve(ONE, "2.0", 2, 100_000);
    second.site.publish(&second.site.list("2.0", &[&image]));
    second.request("now");
    second.all_ready("2.0").await;
    let versions = second.site.server.requests(&format!("/{ONE}-1.0.img"));
    assert_eq!(versions.len(), 1, "what was on the volume is there for the one that follows");
    assert!(!folder(&first, shards[0], &second.namespace).exists());
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn shards_that_cannot_be_are_refused() {
    let tenant = Tenant::new(ControlPlane::shared().await, "shards").await;
    let cases: [(&[&str], &str); 4] = [
        (&["--shards", "2"], "--leader-election"),
        (&["--leader-election", "--shards", "0"], "0 is not in 1..=64"),
        (&["--leader-election", "--shards", "2", "--shard", "2"], "--shard: expected 0 to 1, found 2"),
        (&["--leader-election", "--shards", "2", "--image-server", "127.0.0.1:0"], "--image-server: expected --shard"),
    ];
    for (more, expected) in cases {
        let arguments = Operator::arguments(&tenant.site, &tenant.namespace, more);
        let mut operator = Operator::start_with(tenant.plane.kubeconfig(), &tenant.site, &arguments);
        assert_eq!(operator.ends().await.code(), Some(2), "{more:?}");
        assert!(operator.told().contains(expected), "{more:?}: {}", operator.told());
    }
}
