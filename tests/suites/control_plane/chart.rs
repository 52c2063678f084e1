//! The chart: installed by helm, its program run with its own arguments and its own account. (There is no kubelet here:
//! the test runs the Deployment's command line with the ServiceAccount's token.)

use std::path::{Path, PathBuf};
use std::process::Output;

use harness::control_plane::ControlPlane;
use harness::disk_image::qcow2;
use harness::image_server::Resource;
use harness::opennebula::{Cloud, Dialect};
use serde_json::Value;
use vmcatcher_operator::events::{SinkKind, config};

use super::ledger;
use super::operator::{Operator, Tenant};

const ONE: &str = "858a817e-0ca2-473f-89d3-d5bdfc51968e";
const TWO: &str = "aaaaaaaa-0ca2-473f-89d3-d5bdfc51968e";

pub(super) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

pub(super) fn helm(plane: &ControlPlane, arguments: &[&str]) -> Output {
    plane.helm().current_dir(workspace()).args(arguments).output().unwrap()
}

pub(super) fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Installs the chart in the tenant's namespace.
pub(super) fn install(tenant: &Tenant<'_>, more: &[&str]) {
    let chart = ["install", "site", "charts/vmcatcher-operator", "--namespace", &tenant.namespace];
    // The control plane has the definitions already.
    let image = ["--set", "image.repository=registry.example/vmcatcher-operator,crds.enabled=false"];
    let output = helm(tenant.plane, &[&chart[..], &image, more].concat());
    assert!(output.status.success(), "{}", told(&output));
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("kubectl wait ils/example"),
        "the notes tell what is next"
    );
}

/// The Deployment's arguments, with the site's folders in the places of the mounts.
pub(super) fn arguments(tenant: &Tenant<'_>) -> Vec<String> {
    let deployment: Value =
        serde_json::from_str(&tenant.kubectl(&["get", "deployment", "site", "-o", "json"])).unwrap();
    let pod = &deployment["spec"]["template"]["spec"];
    let strategy = if deployment["spec"]["replicas"] == 1 { "Recreate" } else { "RollingUpdate" };
    assert_eq!(
        (&deployment["spec"]["strategy"]["type"], &pod["securityContext"]["runAsNonRoot"]),
        (&strategy.into(), &true.into())
    );
    let container = &pod["containers"][0];
    let arguments: Vec<&str> =
        container["args"].as_array().unwrap().iter().map(|value| value.as_str().unwrap()).collect();
    let mounts = [("/var/lib/vmcatcher", "volume"), ("/etc/grid-security/certificates", "trust")];
    let placed = |argument: &str| {
        // A pod has all of its ports to itself.
        let argument = argument.replace("[::]:9090", "127.0.0.1:0").replace("[::]:8080", "127.0.0.1:0");
        mounts
            .iter()
            .fold(argument, |text, (mount, folder)| text.replace(mount, tenant.site.path(folder).to_str().unwrap()))
    };
    arguments.into_iter().map(placed).collect()
}

/// The addresses that the Deployment's probes ask, and the figures of the API server's own requests.
async fn answers_its_probes(tenant: &Tenant<'_>, operator: &Operator) {
    let base = operator.listens().await;
    let deployment: Value =
        serde_json::from_str(&tenant.kubectl(&["get", "deployment", "site", "-o", "json"])).unwrap();
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    for probe in ["livenessProbe", "readinessProbe"] {
        let path = container[probe]["httpGet"]["path"].as_str().unwrap();
        assert_eq!(reqwest::get(format!("{base}{path}")).await.unwrap().status().as_u16(), 200, "{probe}");
    }
    let metrics = reqwest::Client::new().get(format!("{base}/metrics"));
    let metrics = metrics.header("accept", "application/openmetrics-text; version=1.0.0");
    let text = metrics.send().await.unwrap().text().await.unwrap();
    let figures = harness::open_metrics::parse(&text).unwrap();
    let requests = |method| figures["vmcatcher_kubernetes_requests"].value(&[("method", method), ("code", "200")]);
    assert!(requests("GET") >= Some(8.0) && requests("PATCH") >= Some(3.0), "{text}");
    let ready = [("kind", "CachedImage"), ("name", ONE), ("type", "Ready"), ("status", "True")];
    assert_eq!(figures["vmcatcher_resource_condition"].value(&ready), Some(1.0));
}

/// Everything that the program does in a subscription's life, with the rights that the chart gives it.
async fn lives_by_its_rights(tenant: &Tenant<'_>) {
    let kubeconfig = tenant.plane.kubeconfig_of(&tenant.namespace, "site", &tenant.site.path("site.kubeconfig"));
    let cloud = cloud(tenant);
    let disk = |version: &str| Resource::bytes(qcow2(1 << 30, version.as_bytes()));
    let [image, other] = [ONE, TWO].map(|identifier| tenant.site.serve_as(identifier, "1.0", disk(identifier)));
    tenant.site.publish(&tenant.site.list("1.0", &[&image, &other]));
    tenant.site.subscribe("deletionPolicy: Retire\n  targetRefs: [{name: one}]");
    let anchors = format!("--from-file={}", tenant.site.path("trust").display());
    tenant.kubectl(&["create", "configmap", "anchors", &anchors]);
    tenant.site.trust("endorser", &tenant.site.pki.endorser, "trustAnchors: {configMapRef: {name: anchors}}");
    let operator = Operator::start_with(&kubeconfig, &tenant.site, &arguments(tenant));
    tenant.apply();
    tenant.kubectl(&["wait", "ils/vo", "--for=condition=Ready", "--timeout=90s"]);
    tenant.kubectl(&["wait", "ils/vo", "--for=condition=ImagesReady", "--timeout=90s"]);
    tenant.kubectl(&["wait", "cimg,cloudtarget,endorser", "--all", "--for=condition=Ready", "--timeout=90s"]);
    tenant.all_ready("1.0").await;
    assert_eq!(tenant.shelf("endorsed"), [image.entry(), other.entry()]);
    answers_its_probes(tenant, &operator).await;
    assert_eq!(cloud.world(|world| world.images.len()), 2);
    let newer = tenant.site.serve_as(ONE, "1.1", disk("newer"));
    tenant.site.publish(&tenant.site.list("1.1", &[&newer]));
    tenant.request("now");
    tenant.all_ready("1.1").await;
    tenant.image_until(TWO, "what the list dropped gone", |image| image.is_none()).await;
    tenant.kubectl(&["delete", "ils", "vo", "--timeout=60s"]);
    assert_eq!(tenant.shelf("endorsed"), [""; 0]);
    assert!(!operator.told().contains("forbidden"), "{}", operator.told());
    operator.stop();
    ledger::balances(tenant);
}

/// A cloud, and the target that names it.
fn cloud(tenant: &Tenant<'_>) -> Cloud {
    let cloud = Cloud::start(Dialect::V7_4);
    cloud.world(|world| world.reads(&tenant.site.path("volume")));
    tenant.publishes_to(&cloud);
    cloud
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn it_installs_for_one_namespace_and_leaves_what_is_not_its_own() {
    let tenant = Tenant::new(ControlPlane::shared().await, "chart").await;
    let namespaces = format!("namespaces={{{}}}", tenant.namespace);
    install(&tenant, &["--set", &namespaces, "--set", "aggregateRoles=false"]);
    assert_eq!(tenant.kubectl(&["get", "role", "site", "-o", "name"]), "role.rbac.authorization.k8s.io/site\n");
    lives_by_its_rights(&tenant).await;

    tenant.apply();
    let output = helm(tenant.plane, &["uninstall", "site", "--namespace", &tenant.namespace]);
    assert!(output.status.success(), "{}", told(&output));
    tenant.kubectl(&["get", "pvc", "site-images"]);
    tenant.kubectl(&["get", "ils", "vo"]);
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn it_installs_for_all_namespaces() {
    let plane = ControlPlane::start().await;
    let tenant = Tenant::new(&plane, "chart").await;
    let several = "leaderElection.enabled=true,replicas=2,shards=1,shard=0,volume.accessModes={ReadWriteMany}";
    install(&tenant, &["--set", several]);
    assert!(["--shards=1", "--shard=0"].iter().all(|one| arguments(&tenant).contains(&(*one).to_owned())));
    lives_by_its_rights(&tenant).await;

    let upgraded = helm(
        &plane,
        &[
            "upgrade",
            "site",
            "charts/vmcatcher-operator",
            "--namespace",
            &tenant.namespace,
            "--reuse-values",
            "--set",
            "maxDownloads=7",
        ],
    );
    assert!(upgraded.status.success(), "{}", told(&upgraded));
    assert!(arguments(&tenant).contains(&"--max-downloads=7".to_owned()));
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn values_that_cannot_work_are_refused() {
    let plane = ControlPlane::shared().await;
    let cases = [
        ("image.tag=x", "image.repository: expected where the container image is"),
        ("image.repository=x,maxDownloads=0", "maxDownloads"),
        ("image.repository=x,namespaces={Not_a_name}", "namespaces"),
        ("image.repository=x,allowDigests={sha256}", "allowDigests"),
        ("image.repository=x,minKeyStrength=512", "minKeyStrength"),
        ("image.repository=x,volume.sise=1Gi", "sise"),
        ("image.repository=x,replicas=2", "expected 1 without leaderElection.enabled"),
        ("image.repository=x,leaderElection.enabled=true", "a volume that several nodes can mount"),
        ("image.repository=x,shards=2", "expected leaderElection.enabled"),
        (
            "image.repository=x,shards=2,leaderElection.enabled=true,volume.existingClaim=v",
            "at least as many as shards",
        ),
        (
            "image.repository=x,shards=2,shard=2,leaderElection.enabled=true,volume.existingClaim=v",
            "a number below shards",
        ),
        ("image.repository=x,trust.configMap=a,trust.secret=b", "expected at most one of configMap"),
        ("image.repository=x,trust.configMap=a,trust.refreshCRLs=6", "cannot be written"),
        ("image.repository=x,metrics.serviceMonitor.enabled=true", "expected metrics.service.enabled"),
        ("image.repository=x,metrics.serviceMonitor.interval=often", "interval"),
        ("image.repository=x,metrics.rules.freeBytes=much", "freeBytes"),
        ("image.repository=x,networkPolicy.metricsFrom=all", "metricsFrom"),
        ("image.repository=x,imageServer.service.port=0", "port"),
        ("image.repository=x,pages.service.port=0", "port"),
        ("image.repository=x,pages.tokenSecret=a,pages.behindProxy=true", "expected at most one of tokenSecret"),
        ("image.repository=x,config.sinks=x", "sinks"),
        ("image.repository=x,configSecrets={Not_a_name}", "configSecrets"),
        ("image.repository=x,image.digest=latest", "digest"),
        ("image.repository=x,podLabels.helm\\.sh/chart=x", "podLabels"),
        ("image.repository=x,resources.limit.memory=1Gi", "limit"),
        (
            "image.repository=x,metrics.service.enabled=true,metrics.serviceMonitor.enabled=true,metrics.podMonitor.enabled=true",
            "expected at most one of serviceMonitor.enabled and podMonitor.enabled",
        ),
        (
            "image.repository=x,replicas=2,leaderElection.enabled=true,volume.existingClaim=v,podDisruptionBudget.minAvailable=1,podDisruptionBudget.maxUnavailable=1",
            "expected at most one of minAvailable and maxUnavailable",
        ),
    ];
    for (values, expected) in cases {
        let output = helm(plane, &["template", "site", "charts/vmcatcher-operator", "--set", values]);
        assert!(!output.status.success() && told(&output).contains(expected), "{values}: {}", told(&output));
    }
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn the_plain_manifests_are_the_charts() {
    let plane = ControlPlane::shared().await;
    let chart = ["template", "vmcatcher-operator", "charts/vmcatcher-operator", "--namespace", "vmcatcher"];
    let values = "image.repository=vmcatcher-operator,crds.enabled=false";
    let output = helm(plane, &[&chart[..], &["--skip-tests", "--set", values]].concat());
    let written = std::fs::read_to_string(workspace().join("config/vmcatcher-operator.yaml")).unwrap();
    let (_, manifests) = written.split_once('\n').unwrap();
    assert!(output.status.success() && manifests == String::from_utf8_lossy(&output.stdout), "run config/generate");
    let file = workspace().join("config/vmcatcher-operator.yaml");
    plane.kubectl_says("vmcatcher", &["create", "namespace", "vmcatcher"]);
    plane.kubectl_says("vmcatcher", &["apply", "--dry-run=server", "-f", file.to_str().unwrap()]);
}

/// kustomize's way to the same objects, by the kubectl that is there.
#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn the_kustomization_is_the_definitions_and_the_plain_manifests() {
    let plane = ControlPlane::shared().await;
    let named = |text: &str| -> std::collections::BTreeSet<(String, String)> {
        let documents = serde_yaml::Deserializer::from_str(text).map(serde::Deserialize::deserialize);
        let objects = documents.map(|document: Result<Value, _>| document.unwrap()).filter(|object| !object.is_null());
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        objects.map(|object| (text(&object["kind"]), text(&object["metadata"]["name"]))).collect()
    };
    let built = named(&plane.kubectl_says("default", &["kustomize", workspace().to_str().unwrap()]));
    let mut expected = named(&std::fs::read_to_string(workspace().join("config/vmcatcher-operator.yaml")).unwrap());
    for file in std::fs::read_dir(workspace().join("crds")).unwrap() {
        expected.extend(named(&std::fs::read_to_string(file.unwrap().path()).unwrap()));
    }
    assert!(built == expected && built.len() > 10, "{built:?}, expected {expected:?}");
}

/// The objects of the chart with these values, as a server of this version takes them, by kind and name.
pub(super) fn rendered(plane: &ControlPlane, values: &str) -> std::collections::BTreeMap<(String, String), Value> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), values).unwrap();
    // The version of the control plane; the objects themselves are tried below.
    let arguments =
        ["template", "site", "charts/vmcatcher-operator", "--kube-version", "1.20", "--skip-tests", "--values"];
    let output = helm(plane, &[&arguments[..], &[file.path().to_str().unwrap()]].concat());
    assert!(output.status.success(), "{}", told(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let documents = serde_yaml::Deserializer::from_str(&text).map(serde::Deserialize::deserialize);
    let objects = documents.map(|document: Result<Value, _>| document.unwrap()).filter(|object| !object.is_null());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    objects.map(|object| ((text(&object["kind"]), text(&object["metadata"]["name"])), object)).collect()
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn what_is_asked_for_is_made_and_nothing_else() {
    let plane = ControlPlane::shared().await;
    let plain = rendered(plane, "image: {repository: x}");
    for kind in ["ConfigMap", "Service", "ServiceMonitor", "PrometheusRule", "NetworkPolicy", "PodDisruptionBudget"] {
        assert!(!plain.keys().any(|(found, _)| found == kind), "{kind} without being asked for");
    }
    let all = rendered(plane, ALL);
    let get = |kind: &str, name: &str| &all[&(kind.to_owned(), name.to_owned())];
    let deployment = get("Deployment", "site");
    let ports = &deployment["spec"]["template"]["spec"]["containers"][0]["ports"];
    let labels = deployment["spec"]["template"]["metadata"]["labels"].as_object().unwrap();
    for (name, port) in [("site-metrics", "metrics"), ("site-images", "images")] {
        let service = get("Service", name);
        assert_eq!(service["spec"]["ports"][0]["targetPort"], port);
        assert!(ports.as_array().unwrap().iter().any(|found| found["name"] == port), "{ports}");
        let selector = service["spec"]["selector"].as_object().unwrap();
        assert!(selector.iter().all(|(name, value)| labels.get(name) == Some(value)), "{selector:?}");
    }
    let monitor = &get("ServiceMonitor", "site")["spec"];
    let watched = monitor["selector"]["matchLabels"].as_object().unwrap();
    let has = |service: &str| {
        let labels = &get("Service", service)["metadata"]["labels"];
        watched.iter().all(|(name, value)| &labels[name] == value)
    };
    assert!(has("site-metrics") && !has("site-images"), "it selects the one Service");
    assert_eq!(monitor["endpoints"][0]["port"], get("Service", "site-metrics")["spec"]["ports"][0]["name"]);
    assert_eq!(get("PodDisruptionBudget", "site")["spec"]["minAvailable"], 1);
    let policy = &get("NetworkPolicy", "site")["spec"];
    let ingress: Vec<_> = policy["ingress"].as_array().unwrap().iter().map(|rule| &rule["ports"][0]["port"]).collect();
    assert_eq!(ingress, ["metrics", "images"]);
    assert_eq!(policy["egress"][0]["to"][0]["ipBlock"]["cidr"], "192.0.2.0/24");
    assert_eq!(get("ConfigMap", "site-more")["data"]["a"], "b");
    let rules = &get("PrometheusRule", "site")["spec"]["groups"];
    let text = rules.to_string();
    assert!(rules[0]["rules"].as_array().unwrap().iter().all(|rule| rule["expr"].is_string()), "{text}");
    assert!(text.contains("job=\\\"site-metrics\\\"") && text.contains("< 1000000000\""), "{text}");
    assert!(!text.contains("$job") && !text.contains("$freeBytes"), "{text}");
    let dashboard = get("ConfigMap", "site-dashboard");
    assert_eq!(dashboard["metadata"]["labels"]["grafana_dashboard"], "1");
    let dashboard: Value =
        serde_json::from_str(dashboard["data"]["vmcatcher-operator.json"].as_str().unwrap()).unwrap();
    assert!(dashboard["panels"].as_array().unwrap().len() > 5);

    // Several programs keep to different nodes.
    let anti = &deployment["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"];
    let weighed = &anti["preferredDuringSchedulingIgnoredDuringExecution"][0]["podAffinityTerm"];
    assert_eq!(weighed["topologyKey"], "kubernetes.io/hostname");
    assert_eq!(weighed["labelSelector"], deployment["spec"]["selector"]);
    let version = env!("CARGO_PKG_VERSION");
    for ((kind, name), object) in all.iter().filter(|((_, name), _)| name != "site-more") {
        let labels = &object["metadata"]["labels"];
        assert_eq!(labels["helm.sh/chart"], format!("vmcatcher-operator-{version}"), "{kind} {name}");
        assert_eq!(labels["team"], "cloud", "{kind} {name}");
    }

    // A server takes them all, but for the kinds that it does not know.
    let namespace = plane.namespace(&plane.client().await, "chart").await;
    for ((kind, name), object) in
        all.iter().filter(|((kind, _), _)| kind != "ServiceMonitor" && kind != "PrometheusRule")
    {
        let mut object = object.clone();
        object["metadata"]["namespace"] = namespace.clone().into();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), object.to_string()).unwrap();
        let taken = plane.kubectl_says(&namespace, &["apply", "--dry-run=server", "-f", file.path().to_str().unwrap()]);
        assert!(taken.contains("dry run"), "{kind} {name}: {taken}");
    }
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn the_configuration_is_one_that_the_program_reads() {
    let plane = ControlPlane::shared().await;
    let all = rendered(plane, ALL);
    let get = |all: &std::collections::BTreeMap<_, Value>, kind: &str, name: &str| -> Value {
        all[&(kind.to_owned(), name.to_owned())].clone()
    };
    let pod = |all: &_| get(all, "Deployment", "site")["spec"]["template"].clone();
    let found = |list: &Value, name: &str| {
        list.as_array().unwrap().iter().find(|item| item["name"] == name).cloned().unwrap_or_default()
    };
    let map = get(&all, "ConfigMap", "site-config");
    let events = config::parse(map["data"]["vmcatcher-operator.yaml"].as_str().unwrap()).unwrap().events;
    assert_eq!((events.spool_limit, events.sinks.len()), (256 << 20, 2));
    let SinkKind::Amqp(amqp) = &events.sinks[1].kind else { panic!("{events:?}") };
    let template = pod(&all);
    let (container, volumes) = (&template["spec"]["containers"][0], &template["spec"]["volumes"]);
    assert_eq!(found(volumes, "config")["configMap"]["name"], "site-config");
    let mount = found(&container["volumeMounts"], "config");
    let option = format!("--config={}/vmcatcher-operator.yaml", mount["mountPath"].as_str().unwrap());
    assert!(container["args"].as_array().unwrap().contains(&option.into()), "{container}");
    for (volume, secret) in [("config-secret-0", "broker"), ("config-secret-1", "example.org")] {
        assert_eq!(found(volumes, volume)["secret"]["secretName"], secret);
        let mount = found(&container["volumeMounts"], volume);
        assert_eq!((&mount["mountPath"], &mount["readOnly"]), (&format!("{SECRETS}/{secret}").into(), &true.into()));
    }
    assert!(amqp.credentials.as_ref().unwrap().password.starts_with(format!("{SECRETS}/broker")));
    // A change of the configuration, and nothing else, restarts the pod.
    let annotations = &template["metadata"]["annotations"];
    assert_eq!(annotations["a"], "b");
    let changed = pod(&rendered(plane, &ALL.replace("events.jsonl", "log.jsonl")));
    assert_ne!(changed["metadata"]["annotations"], *annotations);
    assert_eq!(pod(&rendered(plane, ALL))["metadata"]["annotations"], *annotations);
    let plain = pod(&rendered(plane, "image: {repository: x}"));
    assert!(plain["metadata"]["annotations"].is_null() && !plain.to_string().contains("--config"), "{plain}");
}

/// The folder of the Secrets of sinks.
const SECRETS: &str = "/etc/vmcatcher-operator/secrets";

/// Everything that can be asked for.
const ALL: &str = include_str!("../../data/chart/all.yaml");
