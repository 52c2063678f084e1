//! `list show`, `list lint` and `list verify` of lists that a server shows to those who log in.

use std::fs;

use harness::image_server::{ImageServer, Resource};
use harness::list::ListBuilder;
use harness::pki::Pki;
use harness::signer::{Form, sign};

use super::{Ran, operator};

const SECRET: &str = "s3cret-word";

/// A list behind a log-in, and the files with what it takes.
struct Scene {
    folder: tempfile::TempDir,
    server: ImageServer,
}

impl Scene {
    fn new() -> Self {
        let (folder, pki, server) = (tempfile::tempdir().unwrap(), Pki::new(), ImageServer::start());
        pki.write_trust_dir(&folder.path().join("trust"));
        let text = ListBuilder::new("a-list", pki.now).endorser(&pki.endorser).images(3).json();
        let list = sign(&text, &pki.endorser, Form::Detached);
        server.put("/token", Resource::bytes(list.clone()).basic(SECRET, "x-oauth-basic"));
        server.put("/user", Resource::bytes(list).basic("alice", SECRET));
        fs::write(folder.path().join("word"), format!("{SECRET}\n")).unwrap();
        let (host, manifests) = (server.url("/"), folder.path().join("site"));
        let host = host.trim_start_matches("http://").trim_end_matches('/');
        fs::create_dir(&manifests).unwrap();
        let secret = |name: &str, annotations: &str| {
            format!(
                "---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\n  annotations: {{{annotations}}}\n\
                 stringData: {{token: {SECRET}}}\n"
            )
        };
        let http = "vmcatcher.io/allow-plain-http: 'true'";
        let secrets = [
            secret("elsewhere", &format!("vmcatcher.io/allowed-hosts: lists.example.org, {http}")),
            secret("unsaid", ""),
            secret("good", &format!("vmcatcher.io/allowed-hosts: '{host}', {http}")),
        ];
        fs::write(manifests.join("secrets.yaml"), secrets.concat()).unwrap();
        Self { folder, server }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn run(&self, verb: &str, path: &str, more: &[&str]) -> Ran {
        let (url, trust) = (self.server.url(path), self.path("trust"));
        let trust = if verb == "verify" { vec!["--trust", &trust] } else { Vec::new() };
        let ran = operator(&[&["list", verb, &url], trust.as_slice(), more].concat());
        assert!(!ran.shown.contains(SECRET) && !ran.told.contains(SECRET), "{ran:?}");
        ran
    }
}

#[test]
fn credentials_come_from_files_and_secrets() {
    let scene = Scene::new();
    let (word, manifests) = (scene.path("word"), scene.path("site"));
    let token = ["--token-file", &word, "--allow-plain-http"];
    let user = ["--user", "alice", "--password-file", &word, "--allow-plain-http"];
    let secret = ["--secret", "good", "--manifests", &manifests];
    let ways: [(&str, &[&str]); 3] = [("/token", &token), ("/user", &user), ("/token", &secret)];
    for (path, way) in ways {
        for (verb, shown) in [("verify", "Good: a-list version 1.0, 3 images"), ("show", "3 images, 0 refused")] {
            let ran = scene.run(verb, path, way);
            assert!(ran.code == Some(0) && ran.shown.contains(shown), "{way:?} {ran:?}");
        }
        let linted = scene.run("lint", path, way);
        assert!(linted.shown.contains(" notices: "), "{way:?} {linted:?}");
    }
    for verb in ["verify", "show", "lint"] {
        let refused = scene.run(verb, "/token", &[]);
        assert!(refused.code == Some(3) && refused.told.contains("401"), "{refused:?}");
    }
}

/// Nothing is kept of a folder that is read for a Secret, nor is that told as a failure.
#[test]
fn a_folder_with_a_problem_is_only_read() {
    let scene = Scene::new();
    let manifests = scene.path("site");
    fs::write(scene.folder.path().join("site/broken.yaml"), "kind: [\n").unwrap();
    let ran = scene.run("show", "/token", &["--secret", "good", "--manifests", &manifests]);
    assert!(ran.code == Some(0) && ran.told.contains("broken.yaml"), "{ran:?}");
    assert!(!ran.told.contains("not kept"), "{ran:?}");
}

#[test]
fn credentials_do_not_go_where_nobody_let_them() {
    let scene = Scene::new();
    let (word, manifests) = (scene.path("word"), scene.path("site"));
    fs::write(scene.folder.path().join("lines"), "one\ntwo\n").unwrap();
    let (lines, none, file) = (scene.path("lines"), scene.path("none"), scene.path("word"));
    let cases: [(&[&str], i32, &str); 9] = [
        (&["--token-file", &word], 3, "expected https"),
        (&["--user", "alice", "--password-file", &word], 3, "expected https"),
        (&["--token-file", &none, "--allow-plain-http"], 3, "cannot read"),
        (&["--token-file", &lines, "--allow-plain-http"], 3, "expected one line"),
        (&["--user", "alice"], 2, "--password-file"),
        (&["--token-file", &word, "--user", "alice", "--password-file", &word], 2, "cannot be used with"),
        (&["--secret", "good"], 2, "--manifests"),
        (&["--secret", "gone", "--manifests", &manifests], 3, "expected the Secret default/gone"),
        (&["--secret", "b/good", "--manifests", &manifests], 3, "expected the Secret b/good"),
    ];
    for (more, code, expected) in cases {
        let ran = scene.run("show", "/token", more);
        assert!(ran.code == Some(code) && ran.told.contains(expected), "{more:?} {ran:?}");
    }
    for (name, expected) in [("elsewhere", "does not name"), ("unsaid", "expected https, found http")] {
        let ran = scene.run("verify", "/token", &["--secret", name, "--manifests", &manifests]);
        assert!(ran.code == Some(3) && ran.told.contains(expected), "{name}: {ran:?}");
    }
    assert_eq!(scene.server.requests("/token").len(), 0, "the server was not even asked");
    let of_file = operator(&["list", "show", &file, "--token-file", &word]);
    assert!(of_file.code == Some(3) && of_file.told.contains("expected a URL"), "{of_file:?}");
}

/// The list before it may be on another server, which is not told who asks.
#[test]
fn the_list_before_is_fetched_too_and_another_server_sees_no_credentials() {
    let scene = Scene::new();
    let word = scene.path("word");
    let other = ImageServer::start();
    other.put("/previous", Resource::bytes(b"{}".as_slice()).basic(SECRET, "x-oauth-basic"));
    let token = ["--token-file", &word, "--allow-plain-http"];
    let elsewhere = other.url("/previous");
    let ran = scene.run("lint", "/token", &[&token[..], &["--previous", &elsewhere]].concat());
    assert!(ran.code == Some(3) && ran.told.contains("401"), "{ran:?}");
    let same = scene.server.url("/token");
    let ran = scene.run("lint", "/token", &[&token[..], &["--previous", &same]].concat());
    assert!(ran.shown.contains(" notices: ") && scene.server.requests("/token").len() == 3, "{ran:?}");
}
