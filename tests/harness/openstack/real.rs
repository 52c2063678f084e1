//! Keystone and Glance on free ports of 127.0.0.1: `tests/openstack/get` installs them, `serve` runs them and ends with its
//! input, so that nothing is left however a test ends.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use crate::served::Served;

/// Servers of their own, with the projects `ops`, `dteam` and `publisher`.
pub struct RealOpenStack {
    /// `http://127.0.0.1:PORT/v3`.
    pub auth_url: String,
    /// Glance: `http://127.0.0.1:PORT`, as the catalogue has it.
    pub image_url: String,
    /// Ids of projects by name.
    pub projects: BTreeMap<String, String>,
    /// Ids of the publisher's application credentials: `vmcatcher` (member) and `readonly` (reader).
    pub credentials: BTreeMap<String, String>,
    /// Of all users, and the secret of all application credentials.
    pub password: String,
    /// Where scripts and logs are.
    work: PathBuf,
    served: Served,
}

static SHARED: OnceCell<RealOpenStack> = OnceCell::const_new();
static FOR_ONE: OnceCell<Mutex<RealOpenStack>> = OnceCell::const_new();

fn names(access: &Value, kind: &str) -> BTreeMap<String, String> {
    let names = access[kind].as_object().unwrap().iter();
    names.map(|(name, id)| (name.clone(), id.as_str().unwrap().to_owned())).collect()
}

impl RealOpenStack {
    /// The servers of this test binary. Tests have images of their own in them.
    pub async fn shared() -> &'static Self {
        SHARED.get_or_init(async || Self::start()).await
    }

    /// Others, for a test that kills a server, changes quotas or counts images: no other test uses them meanwhile, and none
    /// of those that share waits for it.
    pub async fn alone() -> MutexGuard<'static, Self> {
        FOR_ONE.get_or_init(async || Mutex::new(Self::start())).await.lock().await
    }

    /// Servers for one test: eight seconds.
    #[expect(clippy::print_stderr, reason = "a figure for people")]
    pub fn start() -> Self {
        let started = Instant::now();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("openstack/serve");
        let (served, first) = Served::start(&mut Command::new(script));
        let words: Vec<&str> = first.split_whitespace().collect();
        let ["ready", work, keystone, glance] = words[..] else {
            panic!("expected Keystone and Glance, found none: run tests/openstack/get, which installs them");
        };
        eprintln!("Keystone and Glance ready in {:.1} s", started.elapsed().as_secs_f64());
        let work = PathBuf::from(work);
        let access: Value = serde_json::from_slice(&std::fs::read(work.join("access.json")).unwrap()).unwrap();
        Self {
            auth_url: format!("{keystone}/v3"),
            image_url: glance.to_owned(),
            projects: names(&access, "projects"),
            credentials: names(&access, "credentials"),
            password: access["password"].as_str().unwrap().to_owned(),
            work,
            served,
        }
    }

    /// Kills Glance with SIGKILL.
    pub fn kill_glance(&self) {
        self.served.order("kill glance");
    }

    /// Starts Glance again on the same data, and waits until it answers.
    pub fn start_glance(&self) {
        self.served.order("start glance");
    }

    /// Kills Keystone with SIGKILL.
    pub fn kill_keystone(&self) {
        self.served.order("kill keystone");
    }

    /// Starts Keystone again on the same data, and waits until it answers.
    pub fn start_keystone(&self) {
        self.served.order("start keystone");
    }

    /// Whether Glance asks Keystone for quotas; it is started again. Off at first.
    pub fn enforce_limits(&self, on: bool) {
        self.served.order(if on { "limits on" } else { "limits off" });
    }

    /// `clouds.yaml`, with the clouds `admin`, `publisher`, `ops-user`, `dteam-user`, `reader`, `vmcatcher` and `readonly`.
    pub fn clouds(&self) -> PathBuf {
        self.work.join("clouds.yaml")
    }

    /// What Glance wrote to its log.
    pub fn glance_log(&self) -> String {
        std::fs::read_to_string(self.work.join("glance/glance.log")).unwrap_or_default()
    }

    /// Does something with openstacksdk as one of [`Self::clouds`]: `tests/openstack/client.py` has the actions.
    pub fn client(&self, cloud: &str, action: &str, arguments: &Value) -> Value {
        let mut command = Command::new(self.work.join("client"));
        let output = command.args([cloud, action, &arguments.to_string()]).output().expect("the client runs");
        assert!(output.status.success(), "{action} {arguments}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}
