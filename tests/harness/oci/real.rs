//! Debian's `docker-registry` on a free port of 127.0.0.1: `tests/registry/get` installs it, `serve` runs it and ends with its
//! input, so that nothing is left however a test ends.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Registry, digest};
use crate::served::Served;

/// The registry. It has no API for referrers: signatures are found by tags.
pub struct RealRegistry {
    host: String,
    _served: Served,
}

impl RealRegistry {
    /// Starts one, which is empty.
    pub fn start() -> Self {
        let (served, first) =
            Served::start(&mut Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("registry/serve")));
        let Some(host) = first.trim().strip_prefix("ready ") else {
            panic!("expected docker-registry, found none: run tests/registry/get, which installs it");
        };
        Self { host: host.to_owned(), _served: served }
    }

    /// Stores the list of referrers of a subject as a tag, as clients do for a registry without the API.
    pub fn put_referrers_tag(&self, repository: &str, subject: &str, referrer: &[u8]) {
        let index = serde_json::json!({
            "schemaVersion": 2, "mediaType": super::INDEX,
            "manifests": [{
                "mediaType": super::MANIFEST, "digest": digest(referrer), "size": referrer.len(),
                "artifactType": super::BUNDLE,
            }],
        });
        self.put_manifest(repository, &subject.replace(':', "-"), super::INDEX, index.to_string().as_bytes());
    }

    fn url(&self, path: &str) -> String {
        if path.starts_with("http") { path.to_owned() } else { format!("http://{}{path}", self.host) }
    }
}

impl Registry for RealRegistry {
    fn host(&self) -> String {
        self.host.clone()
    }

    fn put_blob(&self, repository: &str, bytes: &[u8]) {
        let head = curl(&["-X", "POST", &self.url(&format!("/v2/{repository}/blobs/uploads/"))], b"");
        let location =
            head.lines().find_map(|line| line.to_ascii_lowercase().starts_with("location:").then_some(&line[9..]));
        let location = location.expect("a location").trim();
        let separator = if location.contains('?') { '&' } else { '?' };
        let to = format!("{}{separator}digest={}", self.url(location), digest(bytes));
        let kind = "Content-Type: application/octet-stream";
        curl(&["-X", "PUT", "-H", kind, "--data-binary", "@-", &to], bytes);
    }

    fn put_manifest(&self, repository: &str, reference: &str, kind: &str, bytes: &[u8]) {
        let to = self.url(&format!("/v2/{repository}/manifests/{reference}"));
        curl(&["-X", "PUT", "-H", &format!("Content-Type: {kind}"), "--data-binary", "@-", &to], bytes);
    }
}

/// The head of the answer to a call that succeeds.
fn curl(arguments: &[&str], input: &[u8]) -> String {
    let mut command = Command::new("curl");
    command.args(["-sS", "--fail-with-body", "-D", "-", "-o", "/dev/null"]).args(arguments);
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("curl starts");
    process.stdin.take().unwrap().write_all(input).unwrap();
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success(), "curl {arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}
