//! Traces, of a build with the feature `opentelemetry` that `$TRACING_OPERATOR` names: what a collector gets.

use std::process::{Command, Output};

use harness::image_server::Resource;
use harness::site::Site;

use crate::events::webhook::receiver::{Answer, Receiver, Request};
use crate::reconcile::process::operator;

const GOOD: &str = "858a817e-0ca2-473f-89d3-d5bdfc51968e";
const GONE: &str = "aaaaaaaa-0ca2-473f-89d3-d5bdfc51968e";

/// A number of Protocol Buffers: <https://protobuf.dev/programming-guides/encoding/>.
fn number(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

/// The messages and texts of a field of a message.
fn messages(mut bytes: &[u8], field: u64) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = number(&mut bytes);
        let length = match key & 7 {
            0 => {
                number(&mut bytes);
                continue;
            }
            1 => 8,
            2 => usize::try_from(number(&mut bytes)).unwrap(),
            5 => 4,
            other => panic!("wire type {other}"),
        };
        let (value, rest) = bytes.split_at(length);
        bytes = rest;
        if key >> 3 == field {
            found.push(value.to_vec());
        }
    }
    found
}

fn text(bytes: &[u8], field: u64) -> String {
    messages(bytes, field).pop().map(|bytes| String::from_utf8(bytes).unwrap()).unwrap_or_default()
}

/// Attributes with texts: KeyValue is {1: key, 2: AnyValue}, and an AnyValue with a text is {1: text}.
fn attributes(message: &[u8], field: u64) -> Vec<(String, String)> {
    let of = |one: Vec<u8>| (text(&one, 1), messages(&one, 2).pop().map(|value| text(&value, 1)).unwrap_or_default());
    messages(message, field).into_iter().map(of).collect()
}

/// A Span of opentelemetry-proto's trace.proto.
#[derive(Debug)]
struct Span {
    trace: Vec<u8>,
    id: Vec<u8>,
    parent: Vec<u8>,
    name: String,
    attributes: Vec<(String, String)>,
    /// The message of its Status.
    failure: String,
}

impl Span {
    fn attribute(&self, name: &str) -> &str {
        self.attributes.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
    }
}

/// What a collector got: the attributes of the program, and the spans.
fn received(requests: &[Request]) -> (Vec<(String, String)>, Vec<Span>) {
    let (mut program, mut spans) = (Vec::new(), Vec::new());
    for request in requests {
        assert_eq!(request.line, "POST /v1/traces");
        assert_eq!(request.header("content-type"), Some("application/x-protobuf"));
        for of_resource in messages(&request.body, 1) {
            program = messages(&of_resource, 1).iter().flat_map(|resource| attributes(resource, 1)).collect();
            for span in messages(&of_resource, 2).iter().flat_map(|scope| messages(scope, 2)) {
                spans.push(Span {
                    trace: messages(&span, 1).remove(0),
                    id: messages(&span, 2).remove(0),
                    parent: messages(&span, 4).pop().unwrap_or_default(),
                    name: text(&span, 5),
                    attributes: attributes(&span, 9),
                    failure: messages(&span, 15).pop().map(|status| text(&status, 2)).unwrap_or_default(),
                });
            }
        }
    }
    (program, spans)
}

fn site() -> Site {
    let site = Site::new();
    let images = [site.serve(GOOD, "1", 1, 50_000), site.serve(GONE, "1", 2, 50_000)];
    site.publish(&site.list("1.0", &[&images[0], &images[1]]));
    site.server.put(&format!("/{GONE}-1.img"), Resource::status(404));
    site
}

/// Runs the program once with these variables.
fn once(site: &Site, variables: &[(&str, &str)]) -> Output {
    let usual = operator(site, &["--once"]);
    let program = std::env::var_os("TRACING_OPERATOR").expect("TRACING_OPERATOR names the program");
    let mut command = Command::new(program);
    command.args(usual.get_args()).envs(variables.iter().copied()).output().unwrap()
}

#[test]
#[ignore = "needs a build with traces: tests/run makes one"]
fn a_collector_gets_passes_fetches_and_downloads() {
    let collector = Receiver::start([Answer::status(200)]);
    let site = site();
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url("")),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=site".to_owned()),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test".to_owned()),
    ];
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    let output = once(&site, &variables);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("kind=CachedImage object=default/") && !told.contains("pass{"), "{told}");
    let requests = collector.requests();
    assert!(requests.iter().all(|request| request.header("x-tenant") == Some("site")));
    let (program, spans) = received(&requests);
    for (name, value) in [
        ("service.name", "vmcatcher-operator"),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("deployment.environment.name", "test"),
    ] {
        assert!(program.contains(&(name.to_owned(), value.to_owned())), "{name}: {program:?}");
    }
    assert!(spans.iter().all(|span| ["pass", "fetch", "download", "convert"].contains(&&*span.name)), "{spans:?}");
    let find = |name: &str, attribute: &str, value: &str| {
        let found = spans.iter().find(|span| span.name == name && span.attribute(attribute).contains(value));
        found.unwrap_or_else(|| panic!("{name} with {attribute} {value}: {spans:?}"))
    };
    assert_eq!(find("pass", "object", "default/vo").attribute("kind"), "ImageListSubscription");
    let fetch = find("fetch", "url", "/image.list");
    assert_eq!(fetch.failure, "");
    let good = find("download", "url", GOOD);
    assert_eq!((good.failure.as_str(), good.attribute("digest").len()), ("", 128));
    let parent = spans.iter().find(|span| span.id == good.parent).expect("a pass started it");
    assert_eq!((parent.name.as_str(), &parent.trace), ("pass", &good.trace));
    assert_eq!(parent.attribute("object"), format!("default/{GOOD}"));
    assert!(find("download", "url", GONE).failure.contains("answered 404"), "{spans:?}");
}

#[test]
#[ignore = "needs a build with traces: tests/run makes one"]
fn a_collector_that_fails_or_is_turned_off_changes_nothing() {
    let failing = Receiver::start([Answer::status(400)]);
    let site = site();
    let endpoint = failing.url("");
    let usual = once(&site, &[]);
    assert_eq!(once(&site, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]).status.code(), usual.status.code());
    assert!(!failing.requests().is_empty());
    let silent = Receiver::start([Answer::status(200)]);
    let endpoint = silent.url("");
    for off in [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")] {
        once(&site, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), off]);
    }
    once(&site, &[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]);
    assert_eq!(silent.connections(), 0);
    let traces = silent.url("/v1/traces");
    once(
        &site,
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"), ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &traces)],
    );
    assert!(!received(&silent.requests()).1.is_empty(), "the address for traces has priority");
    let wrong = once(&site, &[("OTEL_EXPORTER_OTLP_ENDPOINT", "not an address")]);
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("there are no traces"), "{wrong:?}");
    assert_eq!(wrong.status.code(), usual.status.code());
}
