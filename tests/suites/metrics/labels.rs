//! Every value that a label can have is on the page, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use harness::open_metrics::{Family, parse};
use harness::opennebula::{Cloud, Dialect};
use kube::Resource;
use vmcatcher_operator::api::{CachedImage, CloudTarget, Endorser, ImageListSubscription};
use vmcatcher_operator::metrics::{Metrics, Work};
use vmcatcher_operator::serve::{Exposition, Monitor};

use super::{Watched, site};
use crate::architecture::{is_test, product_code, sources};

type Values = BTreeSet<String>;

/// The page's table of values: `label` or `label of metric`, and what it may be.
fn explained() -> BTreeMap<String, Values> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, table) = page.split_once("| label | its values |\n|---|---|\n").unwrap();
    let rows = table.lines().take_while(|line| line.starts_with("| "));
    let row = |line: &str| {
        let mut cells = line.trim_matches('|').split('|');
        let (label, values) = (cells.next().unwrap(), cells.next().unwrap());
        let values = values.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        (label.replace('`', "").trim().to_owned(), values)
    };
    rows.map(row).collect()
}

fn values(family: &Family, label: &str) -> Values {
    family.samples.iter().filter_map(|sample| sample.labels.get(label).cloned()).collect()
}

fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> Values {
    words.into_iter().map(str::to_owned).collect()
}

/// The product's code whose path fits.
fn code(fits: impl Fn(&str) -> bool) -> String {
    let all = sources("operator/src").into_iter().filter(|(path, _)| !is_test(path) && fits(&path.to_string_lossy()));
    all.map(|(_, text)| product_code(&text)).collect()
}

/// What is between one of the beginnings and the next quotation mark.
fn after(code: &str, beginnings: &[&str]) -> Values {
    let of = |beginning: &&str| -> Vec<String> {
        code.split(beginning).skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect()
    };
    beginnings.iter().flat_map(of).collect()
}

/// The words that arms of a `match` give, as a reason or a type of a condition is written.
fn arms(code: &str) -> Values {
    let is_word = |word: &&str| word.len() > 3 && word.chars().all(|c| c.is_ascii_alphabetic());
    let begins = |word: &&str| word.starts_with(|c: char| c.is_ascii_uppercase());
    let one_line = code.split_whitespace().collect::<Vec<_>>().join(" ").replace("=> { \"", "=> \"");
    one_line
        .split("=> \"")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('"')?.0))
        .filter(is_word)
        .filter(begins)
        .map(str::to_owned)
        .collect()
}

/// The types of conditions: every finding names one, by itself or by a constant.
fn types() -> Values {
    let code = code(|path| path.contains("/reconcile/"));
    let named =
        after(&code, &["Finding::holds(\"", "Finding::fails(\"", "Finding::unknown(\"", "const NAME: &str = \""]);
    let constants = after(&code, &["const REMOVAL_BLOCKED: &str = \"", "const DOUBTED: &str = \""]);
    named.into_iter().chain(constants).collect()
}

/// The status codes that the image server's code names.
fn served() -> Values {
    let code = code(|path| path.ends_with("/serve/images.rs"));
    let is_of_name = |c: char| c.is_ascii_uppercase() || c == '_';
    let number = |rest: &str| match rest.split(|c| !is_of_name(c)).next().unwrap() {
        "OK" => "200",
        "PARTIAL_CONTENT" => "206",
        "FORBIDDEN" => "403",
        "NOT_FOUND" => "404",
        "RANGE_NOT_SATISFIABLE" => "416",
        "INTERNAL_SERVER_ERROR" => "500",
        "SERVICE_UNAVAILABLE" => "503",
        other => panic!("{other:?} is not known here"),
    };
    code.split("StatusCode::").skip(1).map(number).map(str::to_owned).collect()
}

/// Why deliveries of events fail: what a sink says, what the spool says, and a delivery that is not whole.
fn undelivered() -> Values {
    let errors = ["/events/sink.rs", "/events/spool/error.rs"];
    let found = arms(&code(|path| errors.iter().any(|error| path.ends_with(error))));
    found.into_iter().chain(["Incomplete".to_owned()]).collect()
}

/// The methods that are counted, whatever is asked for.
fn methods() -> Values {
    let monitor = Monitor::default();
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
        monitor.metrics().request(&method.parse().unwrap(), None);
    }
    values(&counted(&monitor)["vmcatcher_kubernetes_requests"], "method")
}

fn counted(monitor: &Monitor) -> BTreeMap<String, Family> {
    parse(&monitor.text(Exposition::OpenMetrics, jiff::Timestamp::now()).unwrap()).unwrap()
}

/// What is tried again.
fn tried_again() -> Values {
    let monitor = Monitor::default();
    let metrics: &Metrics = monitor.metrics();
    for work in [Work::List, Work::Image, Work::Cloud, Work::Resource] {
        metrics.retried(work, "HTTPError");
    }
    values(&counted(&monitor)["vmcatcher_retries"], "what")
}

/// The names of the calls to clouds: methods of XML-RPC, and methods with paths of HTTP.
fn cloud_calls() -> Values {
    let one = after(&code(|path| path.contains("/opennebula/")), &["\"one."]);
    let openstack = code(|path| path.contains("/openstack/"));
    let of = |method: &'static str| {
        let paths = after(&openstack, &[&format!("\"{method} /v")]);
        // What has more behind it is the message of an error.
        paths.into_iter().filter(|path| !path.contains(' ')).map(move |path| format!("{method} /v{path}"))
    };
    let http = ["GET", "POST", "PUT", "PATCH", "DELETE"].into_iter().flat_map(of);
    one.iter().map(|name| format!("one.{name}")).chain(http).collect()
}

#[tokio::test]
async fn every_value_of_a_label_is_explained() {
    let cloud = Cloud::start(Dialect::V7_4);
    let site = site(&cloud);
    let mut watched = Watched::start(&site);
    watched.running.wait_for("ImagePublished");
    let shown = watched.figures().await;
    assert!(watched.running.terminate().success());
    let kinds = [Endorser::kind(&()), ImageListSubscription::kind(&()), CachedImage::kind(&()), CloudTarget::kind(&())];
    let of_clouds = code(|path| path.ends_with("/cloud/reason.rs"));
    let errors = ["/fetch/error.rs", "/cache/error.rs", "/cloud/reason.rs", "/store/error.rs"];
    let mut reasons = arms(&code(|path| errors.iter().any(|error| path.ends_with(error))));
    reasons.retain(|word| !kinds.iter().any(|kind| kind == word));
    let gauge = |name: &str, label| values(&shown[name], label);
    let found = BTreeMap::from([
        ("kind".to_owned(), kinds.iter().map(|kind| kind.clone().into_owned()).collect()),
        ("type".to_owned(), types()),
        ("status".to_owned(), words(["True", "False", "Unknown"])),
        ("state of vmcatcher_list_images".to_owned(), gauge("vmcatcher_list_images", "state")),
        ("state of vmcatcher_downloads".to_owned(), gauge("vmcatcher_downloads", "state")),
        ("what of vmcatcher_volume_used_bytes".to_owned(), gauge("vmcatcher_volume_used_bytes", "what")),
        ("what of vmcatcher_fetched_bytes_total".to_owned(), words(["image", "list"])),
        ("what of vmcatcher_retries_total".to_owned(), tried_again()),
        ("reason of vmcatcher_retries_total".to_owned(), reasons),
        ("method of vmcatcher_kubernetes_requests_total".to_owned(), methods()),
        ("method of vmcatcher_cloud_calls_total".to_owned(), cloud_calls()),
        (
            "outcome of vmcatcher_cloud_calls_total".to_owned(),
            arms(&of_clouds).into_iter().chain(["Succeeded".to_owned()]).collect(),
        ),
        ("code of vmcatcher_image_server_requests_total".to_owned(), served()),
        ("reason of vmcatcher_event_sink_errors_total".to_owned(), undelivered()),
    ]);
    let explained = explained();
    for (label, values) in &found {
        assert_eq!(explained.get(label), Some(values), "{label}: on the page, and in the code");
    }
    assert_eq!(explained.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>());
}
