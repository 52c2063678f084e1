//! 2,000 images on one API server, in one namespace: how long until all are ready, what they cost while nothing happens,
//! and what a restart costs. Run with `cargo bench -p vmcatcher-tests --bench many_images`; it takes two minutes after the build.
//!
//! It needs the control plane that `tests/control-plane/get` and `get-clients` make. The images are of 4 KiB each: what is
//! measured is the work for each image, and not its bytes. A number after `--` is another count of images.

#![allow(clippy::expect_used, clippy::print_stdout, clippy::unwrap_used, reason = "figures are printed for people")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use harness::control_plane::ControlPlane;
use harness::list::ListBuilder;
use harness::site::{Served, Site};
use kube::runtime::wait::await_condition;
use kube::{Api, Client};
use vmcatcher_operator::api::{HasConditions, ImageListSubscription};

const IMAGES: u32 = 2000;
const IDLE: Duration = Duration::from_mins(1);
const LONGEST: Duration = Duration::from_mins(15);
/// What requests of the API server are counted for: all that the program reads or writes.
const GROUPS: [&str; 2] = ["vmcatcher.io", "coordination.k8s.io"];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let count = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(IMAGES);
    let plane = ControlPlane::start().await;
    let client = plane.client().await;
    let namespace = plane.namespace(&client, "many").await;
    let site = Site::new();
    publish(&site, count);
    plane.kubectl_says(&namespace, &["apply", "-f", site.path("manifests").to_str().unwrap()]);

    let before = requests(&client).await;
    let began = Instant::now();
    let operator = Operator::start(&plane, &site, &namespace);
    all_ready(&client, &namespace, count).await;
    let cold = began.elapsed();
    operator.quiet().await;
    let after = requests(&client).await;
    println!("{count} images, cold start until all are ready: {:.1} s", cold.as_secs_f64());
    println!("  {}", operator.told(&after, &before, count));
    idle(&operator, &client, count).await;

    drop(operator);
    let before = requests(&client).await;
    let operator = Operator::start(&plane, &site, &namespace);
    operator.passes(count).await;
    operator.quiet().await;
    let after = requests(&client).await;
    println!("a restart: a pass over each");
    println!("  {}", operator.told(&after, &before, count));
    assert_eq!(written(&after, &before), 0, "a pass that changes nothing writes nothing: {after:?}");
}

/// Puts the images and their list on the site's server.
fn publish(site: &Site, count: u32) {
    let served: Vec<Served> = (0..count)
        .map(|number| site.serve(&format!("{number:08x}-0000-4000-8000-000000000000"), "1.0", number.into(), 4096))
        .collect();
    let list: ListBuilder = site.list("1.0", &served.iter().collect::<Vec<_>>());
    site.publish(&list);
}

async fn all_ready(client: &Client, namespace: &str, count: u32) {
    let api: Api<ImageListSubscription> = Api::namespaced(client.clone(), namespace);
    let ready = |object: Option<&ImageListSubscription>| {
        let status = object.and_then(|object| object.status.as_ref());
        let images = status.and_then(|status| status.images.as_ref());
        status.is_some_and(|status| status.is_true("ImagesReady")) && images.is_some_and(|images| images.ready == count)
    };
    tokio::time::timeout(LONGEST, await_condition(api, "vo", ready)).await.expect("all are ready in time").unwrap();
}

/// A minute in which nothing happens.
async fn idle(operator: &Operator, client: &Client, count: u32) {
    let (before, used, passes) = (requests(client).await, operator.processor(), operator.count("the plan:"));
    tokio::time::sleep(IDLE).await;
    let (after, used_then) = (requests(client).await, operator.processor());
    println!("{} s in which nothing happens", IDLE.as_secs());
    println!(
        "  {} ms of a processor, {} MiB resident, {} passes, {} requests",
        (used_then - used) * 10,
        operator.resident() >> 20,
        operator.count("the plan:") - passes,
        total(&after, &before)
    );
    assert_eq!(written(&after, &before), 0, "nothing is written: {after:?}");
    assert!(total(&after, &before) < u64::from(count) / 50, "no image costs a request: {before:?} {after:?}");
}

/// Requests that were answered so far, by verb and resource.
type Requests = BTreeMap<(String, String), u64>;

async fn requests(client: &Client) -> Requests {
    let ask = http::Request::get("/metrics").body(Vec::new()).unwrap();
    let metrics = client.request_text(ask).await.unwrap();
    let mut found = Requests::new();
    for line in metrics.lines().filter(|line| line.starts_with("apiserver_request_total{")) {
        let (labels, value) = line.rsplit_once("} ").unwrap();
        let label = |name: &str| {
            let (_, rest) = labels.split_once(&format!("{name}=\"")).unwrap();
            rest.split('"').next().unwrap().to_owned()
        };
        let (group, verb) = (label("group"), label("verb"));
        // The garbage collector and the namespace controller list and watch for themselves: what they ask is counted
        // too, which makes the figure an upper bound.
        if GROUPS.contains(&group.as_str()) || ["secrets", "configmaps", "events"].contains(&label("resource").as_str())
        {
            let resource = format!("{}/{}", label("resource"), label("subresource"));
            *found.entry((verb, resource)).or_default() += number(value);
        }
    }
    found
}

/// A counter: a whole number, with an exponent once it is large (`2.5e+06`).
fn number(value: &str) -> u64 {
    let (digits, exponent) = value.split_once("e+").unwrap_or((value, "0"));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let exponent: usize = exponent.parse().unwrap();
    format!("{whole}{part:0<exponent$}").parse().unwrap()
}

fn total(after: &Requests, before: &Requests) -> u64 {
    after.values().sum::<u64>() - before.values().sum::<u64>()
}

fn written(after: &Requests, before: &Requests) -> u64 {
    let writes = |requests: &Requests| -> u64 {
        let reads = ["GET", "LIST", "WATCH"];
        requests.iter().filter(|((verb, _), _)| !reads.contains(&verb.as_str())).map(|(_, count)| count).sum()
    };
    writes(after) - writes(before)
}

/// The program as a process.
struct Operator {
    process: Child,
    log: PathBuf,
}

impl Operator {
    fn start(plane: &ControlPlane, site: &Site, namespace: &str) -> Self {
        let log = site.path("log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_operator"));
        command.env("KUBECONFIG", plane.kubeconfig()).args(["--verbose", "run", "--namespace", namespace]);
        command.arg("--volume").arg(site.path("volume")).arg("--trust").arg(site.path("trust"));
        let process = command.stderr(File::create(&log).unwrap()).spawn().unwrap();
        Self { process, log }
    }

    /// How often the log holds a text.
    fn count(&self, text: &str) -> usize {
        fs::read_to_string(&self.log).unwrap().matches(text).count()
    }

    /// Waits until it has made so many passes over images.
    async fn passes(&self, images: u32) {
        let passes = async {
            while self.count("the plan:") < images as usize {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        tokio::time::timeout(LONGEST, passes).await.expect("a pass over each");
    }

    /// Waits until it has used next to no processor for two seconds.
    async fn quiet(&self) {
        loop {
            let before = self.processor();
            tokio::time::sleep(Duration::from_secs(2)).await;
            if self.processor() <= before + 2 {
                return;
            }
        }
    }

    /// Time of a processor that was used so far, in hundredths of a second: fields 14 and 15 of proc(5) `stat`.
    fn processor(&self) -> u64 {
        let stat = fs::read_to_string(Path::new("/proc").join(self.process.id().to_string()).join("stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// Bytes of memory: `VmRSS` of proc(5) `status`.
    fn resident(&self) -> u64 {
        let status = fs::read_to_string(Path::new("/proc").join(self.process.id().to_string()).join("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    fn told(&self, after: &Requests, before: &Requests, count: u32) -> String {
        let each = |number: u64| {
            let tenths = number * 10 / u64::from(count);
            format!("{}.{}", tenths / 10, tenths % 10)
        };
        let passes = u64::try_from(self.count("the plan:")).unwrap();
        format!(
            "{} s of a processor, {} MiB resident; for each image {} passes, {} requests, of them {} writes",
            self.processor() / 100,
            self.resident() >> 20,
            each(passes),
            each(total(after, before)),
            each(written(after, before)),
        )
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // Killed, so that it has had no time to put anything right.
        let _ended = self.process.kill();
        let _waited = self.process.wait();
    }
}
