//! The program itself, run as a process against the control plane, and a site with its namespace.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use harness::control_plane::ControlPlane;
use harness::opennebula::Cloud;
use harness::patience::{PATIENCE, found};
use harness::site::Site;
use kube::runtime::wait::await_condition;
use kube::{Api, Client};
use rustix::process::{Pid, Signal};
use serde_json::{Value, json};
use vmcatcher_operator::api::{CachedImage, HasConditions, ImageListSubscription, REQUESTED_AT};

/// A running program. Dropped, it is killed.
pub(crate) struct Operator {
    process: Child,
    log: PathBuf,
}

impl Operator {
    /// Starts it with a site's volume and trust directory, for one namespace.
    pub(crate) fn start(kubeconfig: &Path, site: &Site, namespace: &str) -> Self {
        Self::start_with(kubeconfig, site, &Self::arguments(site, namespace, &[]))
    }

    /// Arguments for a site's volume and trust directory, and a namespace; then more of them.
    pub(crate) fn arguments(site: &Site, namespace: &str, more: &[&str]) -> Vec<String> {
        let (volume, trust) = (site.path("volume"), site.path("trust"));
        let [volume, trust] = [volume.to_str().unwrap(), trust.to_str().unwrap()];
        let arguments = ["run", "--namespace", namespace, "--volume", volume, "--trust", trust];
        arguments.iter().chain(more).map(|argument| (*argument).to_owned()).collect()
    }

    /// Starts it with these arguments; what it tells is kept in the site's folder.
    pub(crate) fn start_with(kubeconfig: &Path, site: &Site, arguments: &[String]) -> Self {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let log = site.path(&format!("log-{}", STARTED.fetch_add(1, Ordering::Relaxed)));
        let mut command = Command::new(env!("CARGO_BIN_EXE_operator"));
        command.env("KUBECONFIG", kubeconfig).args(arguments);
        let process = command.stderr(File::create(&log).unwrap()).spawn().unwrap();
        Self { process, log }
    }

    /// What it has told so far.
    pub(crate) fn told(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until it has told this.
    pub(crate) async fn tells(&self, expected: &str) {
        let told = found(async || self.told().contains(expected).then_some(())).await;
        assert!(told.is_some(), "expected {expected:?}, found {}", self.told());
    }

    /// Where it answers /healthz, /readyz and /metrics, once it does.
    pub(crate) async fn listens(&self) -> String {
        self.told_address("health and metrics are served address=").await
    }

    /// Where it serves images, once it does.
    pub(crate) async fn serves_images(&self) -> String {
        self.told_address("images are served address=").await
    }

    async fn told_address(&self, before: &str) -> String {
        let address = found(async || {
            let told = self.told();
            // The line may not be all there yet.
            let (address, _) = told.split_once(before).and_then(|(_, rest)| rest.split_once('\n'))?;
            Some(format!("http://{}", address.trim()))
        });
        address.await.unwrap_or_else(|| panic!("expected {before:?}, found {}", self.told()))
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ends(&mut self) -> ExitStatus {
        found(async || self.process.try_wait().unwrap()).await.expect("it ends by itself")
    }

    /// Kills it, as a node that loses its power would.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Holds it where it is.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// Its number.
    pub(crate) fn process(&self) -> u32 {
        self.process.id()
    }

    /// Asks it to stop, and tells how it ended and after how long.
    pub(crate) fn stop(mut self) -> (ExitStatus, Duration) {
        let asked = Instant::now();
        self.signal(Signal::TERM);
        let ended = self.process.wait().unwrap();
        (ended, asked.elapsed())
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // Ended already where it was asked to stop.
        let _ended = self.process.kill();
        let _waited = self.process.wait();
        if std::thread::panicking() {
            eprintln!("the operator told:\n{}", self.told());
        }
    }
}

/// A site whose resources are in a namespace of the control plane.
pub(crate) struct Tenant<'p> {
    pub(crate) plane: &'p ControlPlane,
    pub(crate) client: Client,
    pub(crate) namespace: String,
    pub(crate) site: Site,
}

impl<'p> Tenant<'p> {
    pub(crate) async fn new(plane: &'p ControlPlane, name: &str) -> Self {
        let client = plane.client().await;
        let namespace = plane.namespace(&client, name).await;
        Self { plane, client, namespace, site: Site::new() }
    }

    /// Applies the site's manifests with kubectl, as a person would.
    pub(crate) fn apply(&self) {
        let manifests = self.site.path("manifests");
        self.kubectl(&["apply", "-f", manifests.to_str().unwrap()]);
    }

    /// Makes the Secret with the log-in of a stand-in, and writes the manifest of the CloudTarget `one`, which has the
    /// site's volume.
    pub(crate) fn publishes_to(&self, cloud: &Cloud) {
        self.hands_over(cloud, &json!({"type": "Path", "path": {"prefix": self.site.path("volume")}}));
    }

    /// The same, with this way to hand over images.
    pub(crate) fn hands_over(&self, cloud: &Cloud, hand_over: &Value) {
        let login = ["--from-literal=username=oneadmin", "--from-literal=password=opennebula-test"];
        self.kubectl(&[&["create", "secret", "generic", "one-auth"][..], &login].concat());
        let target = json!({
            "apiVersion": "vmcatcher.io/v1alpha1", "kind": "CloudTarget", "metadata": {"name": "one"},
            "spec": {"type": "OpenNebula", "openNebula": {
                "endpoint": cloud.endpoint(), "secretRef": {"name": "one-auth"}, "datastore": "default",
                "handOver": hand_over,
            }}
        });
        self.site.manifest("target", &target.to_string());
    }

    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        self.plane.kubectl_says(&self.namespace, arguments)
    }

    pub(crate) fn start(&self) -> Operator {
        Operator::start(self.plane.kubeconfig(), &self.site, &self.namespace)
    }

    pub(crate) fn subscriptions(&self) -> Api<ImageListSubscription> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(crate) fn images(&self) -> Api<CachedImage> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Waits until the subscription `vo` is as it should be.
    pub(crate) async fn subscription_until(
        &self,
        expected: &str,
        holds: impl Fn(&ImageListSubscription) -> bool,
    ) -> ImageListSubscription {
        let condition = |object: Option<&ImageListSubscription>| object.is_some_and(&holds);
        let waited = await_condition(self.subscriptions(), "vo", condition);
        let Ok(found) = tokio::time::timeout(PATIENCE, waited).await else {
            panic!("expected {expected}, found {}", self.kubectl(&["get", "ils", "vo", "-o", "yaml"]));
        };
        found.unwrap().unwrap()
    }

    /// Waits until an image is as it should be; `None` is one that is not there.
    pub(crate) async fn image_until(
        &self,
        name: &str,
        expected: &str,
        holds: impl Fn(Option<&CachedImage>) -> bool,
    ) -> Option<CachedImage> {
        let waited = await_condition(self.images(), name, holds);
        let Ok(found) = tokio::time::timeout(PATIENCE, waited).await else {
            panic!("expected {expected}, found {}", self.kubectl(&["get", "cimg", "-o", "yaml"]));
        };
        found.unwrap()
    }

    /// Waits until the list in force has that version and all images of it are ready.
    pub(crate) async fn all_ready(&self, version: &str) -> ImageListSubscription {
        self.subscription_until(&format!("list {version} and all its images ready"), |object| {
            let status = object.status.clone().unwrap_or_default();
            let in_force = status.list.as_ref().is_some_and(|list| list.version == version);
            in_force && status.is_true("Ready") && status.is_true("ImagesReady")
        })
        .await
    }

    /// Asks for a pass now.
    pub(crate) fn request(&self, value: &str) {
        self.kubectl(&["annotate", "--overwrite", "ils", "vo", &format!("{REQUESTED_AT}={value}")]);
    }

    /// What is on a shelf of the volume for the namespace, as `identifier/version-digest`.
    pub(crate) fn shelf(&self, name: &str) -> Vec<String> {
        self.site.shelf_of(&self.namespace, name)
    }
}

pub(crate) fn ready(image: Option<&CachedImage>, version: &str) -> bool {
    image.and_then(|image| image.status.as_ref()).is_some_and(|status| {
        status.is_true("Ready") && status.image.as_ref().is_some_and(|wanted| wanted.version == version)
    })
}
