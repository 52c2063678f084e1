//! A Kubernetes control plane: etcd, kube-apiserver with RBAC, kube-controller-manager, on free ports of 127.0.0.1.
//!
//! `tests/control-plane/get` and `get-clients` make the programs; `serve` runs them, and ends with its input: nothing
//! is left however a test ends.

mod audit;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ObjectMeta, PostParams};
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, ResourceExt};
use tokio::sync::OnceCell;
use vmcatcher_operator::api::crds;

pub use audit::RecordedCall;

use crate::patience::{PATIENCE, until};
use crate::served::Served;

/// A control plane of its own, with the definitions of the resources installed.
pub struct ControlPlane {
    kubeconfig: PathBuf,
    programs: PathBuf,
    served: Served,
}

static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();

impl ControlPlane {
    /// The one of this test binary: tests have namespaces of their own in it.
    pub async fn shared() -> &'static Self {
        SHARED.get_or_init(Self::start).await
    }

    /// A new one, for a test that stops its parts.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// An API server of current Kubernetes, which knows custom resources and nothing else.
    pub async fn start_current() -> Self {
        Self::start_with(&["--definitions"]).await
    }

    #[expect(clippy::print_stderr, reason = "a figure for people")]
    async fn start_with(arguments: &[&str]) -> Self {
        let started = Instant::now();
        let programs = directory();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("control-plane/serve");
        let mut command = Command::new(script);
        let (served, first) = Served::start(command.args(arguments).arg(&programs));
        let kubeconfig = first.trim_end().strip_prefix("ready ").expect("a control plane: tests/control-plane/get");
        let plane = Self { kubeconfig: kubeconfig.into(), programs, served };
        plane.install_definitions().await;
        eprintln!("control plane ready in {:.1} s", started.elapsed().as_secs_f64());
        plane
    }

    /// The file with an administrator's credentials.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// An administrator's client, for the runtime of the calling test.
    pub async fn client(&self) -> Client {
        Client::try_from(self.configuration().await).unwrap()
    }

    /// An administrator's configuration.
    pub async fn configuration(&self) -> Config {
        let file = Kubeconfig::read_from(&self.kubeconfig).unwrap();
        Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap()
    }

    /// A new namespace, of which the name begins so.
    pub async fn namespace(&self, client: &Client, prefix: &str) -> String {
        let metadata = ObjectMeta { generate_name: Some(format!("{prefix}-")), ..ObjectMeta::default() };
        let namespace = Namespace { metadata, ..Namespace::default() };
        Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap().name_any()
    }

    /// kubectl, in a namespace, as an administrator.
    pub fn kubectl(&self, namespace: &str, arguments: &[&str]) -> Output {
        let cache = self.kubeconfig.with_file_name("kubectl-cache");
        let mut command = Command::new(self.programs.join("bin/kubectl"));
        command.arg("--kubeconfig").arg(&self.kubeconfig).arg("--cache-dir").arg(cache);
        command.args(["--namespace", namespace]).args(arguments).output().expect("kubectl runs")
    }

    /// What kubectl prints, where it must succeed.
    pub fn kubectl_says(&self, namespace: &str, arguments: &[&str]) -> String {
        let output = self.kubectl(namespace, arguments);
        assert!(output.status.success(), "kubectl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Writes a file with the credentials of a ServiceAccount, and returns its path.
    pub fn kubeconfig_of(&self, namespace: &str, account: &str, path: &Path) -> PathBuf {
        let token = self.kubectl_says(namespace, &["create", "token", account]);
        let mut file = Kubeconfig::read_from(&self.kubeconfig).unwrap();
        for user in &mut file.auth_infos {
            user.auth_info = Some(AuthInfo { token: Some(token.trim().to_owned().into()), ..AuthInfo::default() });
        }
        std::fs::write(path, serde_json::to_vec(&file).unwrap()).unwrap();
        path.to_owned()
    }

    /// Runs commands as a person types them: `kubectl` is this control plane's, in a namespace, as an administrator.
    /// `programs` are other programs that are found by these names.
    pub fn shell(&self, namespace: &str, programs: &[(&str, &Path)], folder: &Path, script: &str) -> Output {
        let home = tempfile::tempdir().unwrap();
        let mut file = Kubeconfig::read_from(&self.kubeconfig).unwrap();
        for context in file.contexts.iter_mut().filter_map(|named| named.context.as_mut()) {
            context.namespace = Some(namespace.to_owned());
        }
        let kubeconfig = home.path().join("kubeconfig");
        std::fs::write(&kubeconfig, serde_json::to_vec(&file).unwrap()).unwrap();
        let kubectl = self.programs.join("bin/kubectl");
        for (name, program) in programs.iter().chain(&[("kubectl", kubectl.as_path())]) {
            std::os::unix::fs::symlink(program, home.path().join(name)).unwrap();
        }
        let path = format!("{}:{}", home.path().display(), std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", script]).current_dir(folder);
        command.env("PATH", path).env("KUBECONFIG", kubeconfig).env("HOME", home.path());
        command.output().expect("bash runs")
    }

    /// Where helm is.
    pub fn helm(&self) -> Command {
        let mut command = Command::new(self.programs.join("bin/helm"));
        command.env("KUBECONFIG", &self.kubeconfig);
        command
    }

    /// Kills the API server.
    pub fn stop_api(&self) {
        self.served.order("stop api");
    }

    /// Starts the API server again, and waits until it answers.
    pub fn start_api(&self) {
        self.served.order("start api");
    }

    /// Kills etcd.
    pub fn stop_etcd(&self) {
        self.served.order("stop etcd");
    }

    /// Starts etcd again, and waits until it answers.
    pub fn start_etcd(&self) {
        self.served.order("start etcd");
    }

    /// etcd forgets every version but the last.
    pub fn compact(&self) {
        self.served.order("compact");
    }

    /// Creates the definitions, and waits until the API server serves and describes them.
    async fn install_definitions(&self) {
        let client = self.client().await;
        let api = Api::all(client.clone());
        for crd in crds() {
            api.create(&PostParams::default(), &crd).await.unwrap();
            let name = crd.name_any();
            let served = kube::runtime::conditions::is_crd_established();
            let waited = kube::runtime::wait::await_condition(api.clone(), &name, served);
            tokio::time::timeout(PATIENCE, waited).await.expect("the definition is served").unwrap();
        }
        let all = |text: &str| crds().iter().all(|crd| text.contains(&format!("\"{}\"", crd.spec.names.kind)));
        until("the definitions are described", async || {
            let ask = http::Request::get("/openapi/v2").body(Vec::new()).unwrap();
            all(&client.request_text(ask).await.unwrap())
        })
        .await;
    }
}

/// Where the programs are.
fn directory() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    cache.expect("HOME is set").join("vmcatcher-operator/control-plane")
}
