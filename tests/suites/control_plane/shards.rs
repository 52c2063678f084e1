//! Several programs that divide the namespaces among them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use harness::control_plane::ControlPlane;
use harness::image_server::Resource;
use harness::opennebula::{Cloud, Dialect, State};
use harness::patience::{found, until};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use vmcatcher_operator::api::CachedImage;
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

/// A program for both namespaces, with the volume and the Leases of the first one; `more` are arguments.
fn start(first: &Tenant<'_>, second: &Tenant<'_>, more: &[&str]) -> Operator {
    let shards = ["--leader-election", "--lease-namespace", &first.namespace, "--shards", "2"];
    let arguments = [&["--namespace", &first.namespace], &shards[..], more].concat();
    let arguments = Operator::arguments(&first.site, &second.namespace, &arguments);
    Operator::start_with(first.plane.kubeconfig(), &first.site, &arguments)
}

/// Which of the programs works for shard 0, and which for shard 1.
async fn leaders(operators: &[Operator]) -> [usize; 2] {
    let lead = async |shard: &str| {
        let leads = async || operators.iter().position(|operator| operator.told().contains(shard));
        found(leads).await.unwrap_or_else(|| panic!("no program works for {shard}"))
    };
    [lead("works for shard 0 of 2").await, lead("works for shard 1 of 2").await]
}

fn folder(tenant: &Tenant<'_>, shard: Shard, namespace: &str) -> std::path::PathBuf {
    tenant.site.path(&format!("volume/shard-{}/endorsed/{namespace}", shard.index()))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: tests/run makes one"]
async fn each_works_for_its_namespaces_and_one_that_waits_follows_one_that_is_killed() {
    let shards: Vec<Shard> = Shard::all(2.try_into().unwrap()).collect();
    let (first, second) = (tenant_of(shards[0]).await, tenant_of(shards[1]).await);
    let operators = [(); 3].map(|()| start(&first, &second, &[]));
    let leaders = leaders(&operators).await;
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
    let cases: [(&[&str], &str); 3] = [
        (&["--shards", "2"], "--leader-election"),
        (&["--leader-election", "--shards", "0"], "0 is not in 1..=64"),
        (&["--leader-election", "--shards", "2", "--shard", "2"], "--shard: expected 0 to 1, found 2"),
    ];
    for (more, expected) in cases {
        let arguments = Operator::arguments(&tenant.site, &tenant.namespace, more);
        let mut operator = Operator::start_with(tenant.plane.kubeconfig(), &tenant.site, &arguments);
        assert_eq!(operator.ends().await.code(), Some(2), "{more:?}");
        assert!(operator.told().contains(expected), "{more:?}: {}", operator.told());
    }
}

/// One address before several programs, as that of a Service: each connection goes to the next one.
struct Front {
    address: SocketAddr,
    programs: Arc<Mutex<Vec<String>>>,
}

impl Front {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, programs) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::<String>::new())));
        let behind = programs.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let next = {
                    let mut programs = behind.lock().unwrap();
                    programs.rotate_left(1);
                    programs[0].clone()
                };
                tokio::spawn(async move {
                    let mut program = TcpStream::connect(next.trim_start_matches("http://")).await.unwrap();
                    // The client ends the connection when it has what it asked for.
                    let _ended = tokio::io::copy_bidirectional(&mut stream, &mut program).await;
                });
            }
        });
        Self { address, programs }
    }

    fn set(&self, programs: Vec<String>) {
        *self.programs.lock().unwrap() = programs;
    }
}

/// A cloud that has an image of the tenant when it has pulled it from this address.
fn pulling_cloud(tenant: &Tenant<'_>, base: &str, content: &str) -> Cloud {
    let cloud = Cloud::start(Dialect::V7_4);
    cloud.world(|world| (world.clock, world.any_file) = (tenant.site.now().as_second(), None));
    let bytes = harness::disk_image::qcow2(1 << 30, content.as_bytes());
    tenant.site.publish(&tenant.site.list("2.0", &[&tenant.site.serve_as(ONE, "2.0", Resource::bytes(bytes))]));
    tenant.hands_over(&cloud, &json!({"type": "URL", "url": {"base": base}}));
    tenant.site.subscribe("targetRefs: [{name: one}]");
    cloud
}

/// The address from which a cloud has pulled the tenant's image.
async fn pulled(tenant: &Tenant<'_>, cloud: &Cloud) -> String {
    let published = |image: Option<&CachedImage>| {
        let targets = image.and_then(|image| image.status.as_ref()).map(|status| status.targets.as_slice());
        targets.unwrap_or_default().iter().any(|target| target.version.as_deref() == Some("2.0"))
    };
    tenant.image_until(ONE, "published", published).await;
    cloud.world(|world| {
        let images = world.named(ONE);
        assert!(images.len() == 1 && images[0].state == State::Ready, "{images:?}");
        images[0].path.clone()
    })
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: tests/run makes one"]
async fn clouds_pull_images_of_each_shard_from_whichever_program_answers() {
    let shards: Vec<Shard> = Shard::all(2.try_into().unwrap()).collect();
    let tenants = [tenant_of(shards[0]).await, tenant_of(shards[1]).await];
    let front = Front::start().await;
    let base = format!("http://{}", front.address);
    let clouds = [pulling_cloud(&tenants[0], &base, "first"), pulling_cloud(&tenants[1], &base, "second")];
    let operators = [(); 3].map(|()| start(&tenants[0], &tenants[1], &["--image-server", "127.0.0.1:0"]));
    let mut servers = Vec::new();
    for operator in &operators {
        servers.push(operator.serves_images().await);
    }
    front.set(servers.clone());
    for tenant in &tenants {
        tenant.apply();
    }
    let mut addresses = Vec::new();
    for ((tenant, cloud), shard) in tenants.iter().zip(&clouds).zip(&shards) {
        let address = pulled(tenant, cloud).await;
        assert!(address.starts_with(&format!("{base}/images/{}/", shard.folder())), "{address}");
        addresses.push(address);
    }
    // Each request has a connection of its own, so the next program answers it.
    let client = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
    let status = async |url: String| client.get(url).send().await.map(|response| response.status().as_u16()).ok();
    for address in &addresses {
        for server in &servers {
            assert_eq!(status(address.replace(&base, server)).await, Some(200), "{server} has {address}");
        }
    }

    // The images of a shard are there while no program works for it, and while another takes over.
    let leaders = leaders(&operators).await;
    let mut operators = operators.map(Some);
    servers.remove(leaders[1]);
    front.set(servers);
    operators[leaders[1]].take().unwrap().kill();
    let follower = operators[3 - leaders[0] - leaders[1]].as_ref().unwrap();
    until("the waiting program follows", async || {
        for address in &addresses {
            assert_eq!(status(address.clone()).await, Some(200), "{address}");
        }
        follower.told().contains("works for shard 1 of 2")
    })
    .await;
}
