//! A publisher, a server, a cloud or whoever writes manifests chooses words that drive the terminal of the person who
//! looks, forge a line of the log, or turn the writing so that one version reads as another (CVE-2021-42574).

use std::fs;
use std::process::{Command, Output, Stdio};

use harness::image_server::Resource;
use harness::list::ListBuilder;
use harness::site::Site;
use serde_json::{Value, json};
use vmcatcher_operator::imagelist::{ImageList, ListError};

/// A terminal, or a reader, takes each for something else than text.
const WORDS: [&str; 9] = [
    "\u{1b}]0;owned\u{7}",
    "\u{1b}[2J\u{1b}[31m",
    "\u{9b}31m\u{9d}0;owned\u{9c}",
    "\r\nFORGED: all is well\r\n",
    "\u{85}FORGED\u{b}\u{c}",
    "\u{2028}FORGED\u{2029}",
    "\u{7f}\u{8}\u{8}",
    "\u{202e}2wocq.egami\u{202c}\u{2067}a\u{2069}\u{200f}\u{61c}",
    "\u{200b}\u{200d}\u{feff}\u{ad}\u{180e}\u{e0041}",
];

const GOOD: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const OTHER: &str = "aaaaaaaa-0000-4000-8000-000000000002";

fn hostile() -> String {
    WORDS.concat()
}

/// What a terminal shows as it is, and nothing else: the rule of the test, said without the program's own.
fn is_harmless(c: char) -> bool {
    let format = matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}');
    c == '\n' || !(c.is_control() || format)
}

#[track_caller]
fn assert_harmless(command: &str, text: &str) {
    for line in text.lines() {
        assert!(line.chars().all(is_harmless), "{command}: {line:?}");
        assert!(!line.trim_start().starts_with("FORGED"), "{command}: {line:?}");
    }
}

/// A site where all that can choose its words chooses these.
fn site() -> Site {
    let site = Site::new();
    let good = site.serve(GOOD, "1", 1, 50_000);
    let words = hostile();
    let image = |identifier: &str, version: &str| {
        json!({"hv:image": {
            "dc:title": words, "dc:description": words, "dc:identifier": identifier, "hv:size": good.size,
            "hv:uri": good.uri, "hv:version": version, "hv:hypervisor": words, "hv:format": words,
            "sl:checksum:sha512": good.sha512, "sl:arch": words, "sl:os": words, "sl:osversion": words,
            "sl:comments": words, "ad:mpuri": words, &words: words,
        }})
    };
    let list = ["dc:title", "dc:description", "dc:source", "hv:uri", "ad:vo", &words];
    let list = list.iter().fold(site.list("1.0", &[]), |list, key| list.with(key, json!(words)));
    let list = list.raw_image(image(GOOD, "1")).raw_image(image(OTHER, &words)).raw_image(image(&words, "1"));
    site.publish(&list);
    fs::write(site.path("list.json"), list.json()).unwrap();
    fs::write(site.path("bad.json"), site.list(&words, &[&good]).json()).unwrap();
    refusals(&site);
    manifests(&site);
    site
}

/// A server and a cloud that refuse, in their words.
fn refusals(site: &Site) {
    let latin: String = hostile().chars().filter(|c| !c.is_control() && *c != '\u{9b}').collect();
    site.server.put("/moved.list", Resource::redirect(302, &format!("http://{latin}/")));
    site.subscribe_to("moved", &site.server.url("/moved.list"), "");
    site.server.put("/words.list", Resource::bytes(hostile()).header("content-type", &format!("text/{latin}")));
    site.subscribe_to("words", &site.server.url("/words.list"), "");
    let words = hostile().replace(['\u{1b}', '\u{7}', '\u{8}', '\u{b}', '\u{c}'], "");
    let answer = format!(
        "<?xml version=\"1.0\"?><methodResponse><params><param><value><array><data><value><boolean>0</boolean></value>\
         <value><string>{words}</string></value><value><i4>2048</i4></value></data></array></value></param></params>\
         </methodResponse>"
    );
    site.server.put("/RPC2", Resource::bytes(answer));
    site.manifest(
        "cloud",
        &format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: one}}\nstringData: {{username: a, password: b}}\n---\n\
             apiVersion: vmcatcher.io/v1alpha1\nkind: CloudTarget\nmetadata: {{name: cloud}}\nspec: {{type: OpenNebula, \
             openNebula: {{endpoint: {:?}, secretRef: {{name: one}}, datastore: default, handOver: {{type: Path, path: \
             {{prefix: /var}}}}}}}}\n",
            site.server.url("/RPC2")
        ),
    );
}

/// Manifests that cannot be taken, and specs that cannot work, with names and values of that kind.
fn manifests(site: &Site) {
    let words = serde_json::to_string(&hostile()).unwrap();
    let name: String = hostile().replace('/', "");
    fs::write(site.path("manifests").join(format!("{name}.yaml")), "kind: [").unwrap();
    let manifest = |name: &str, spec: &str| {
        format!(
            "apiVersion: vmcatcher.io/v1alpha1\nkind: ImageListSubscription\nmetadata: {{name: {name}}}\nspec: {spec}\n"
        )
    };
    let source =
        format!("source: {{url: {:?}}}, verify: {{endorserRefs: [{{name: endorser}}]}}", site.server.url("/a"));
    site.manifest("unknown-field", &manifest("unknown-field", &format!("{{{source}, {words}: 1}}")));
    site.manifest("bad-interval", &manifest("bad-interval", &format!("{{{source}, interval: {words}}}")));
    site.manifest("bad-kind", &format!("apiVersion: vmcatcher.io/v1alpha1\nkind: {words}\nmetadata: {{name: x}}\n"));
    site.manifest("bad-name", &manifest(&words, &format!("{{{source}}}")));
    let all = "images: {include: {match: [{name: all}]}}, targetRefs: [{name: cloud}]";
    let url = site.server.url("/image.list");
    let vo = format!("{{source: {{url: {url:?}}}, verify: {{endorserRefs: [{{name: endorser}}]}}, {all}}}");
    site.manifest("subscription-vo", &manifest("vo", &vo));
}

fn run(site: &Site, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_operator"));
    command.args(arguments).current_dir(site.path("")).stdin(Stdio::null());
    command.env("VMCATCHER_VOLUME", site.path("volume")).env("VMCATCHER_MANIFESTS", site.path("manifests"));
    command.output().unwrap()
}

/// What a command shows, of both its streams, once it was looked at.
fn shown(site: &Site, arguments: &str) -> String {
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let output = run(site, &arguments);
    let (told, errors) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_harmless(&arguments.join(" "), &told);
    assert_harmless(&format!("{} (standard error)", arguments.join(" ")), &errors);
    assert!(!told.is_empty() || !errors.is_empty(), "{arguments:?}");
    told
}

#[test]
fn no_command_shows_them_as_they_are() {
    let site = site();
    let table = shown(&site, "reconcile --once --trust trust -o wide");
    assert!(table.contains("\\u{202e}2wocq.egami") && table.contains("\\r\\nFORGED: all is well"), "{table}");
    shown(&site, "reconcile --once --trust trust --log-format json -vv");
    let yaml = shown(&site, "reconcile --once --trust trust -o yaml");
    let json = shown(&site, "reconcile --once --trust trust -o json");
    let objects: Value = serde_json::from_str(&json).unwrap();
    let titles = |objects: &Value| objects.to_string().matches(&json!(hostile()).to_string()).count();
    assert!(titles(&objects) > 0, "a document keeps the words: {json}");
    let documents = serde_yaml::Deserializer::from_str(&yaml);
    let documents: Value = documents.map(|one| <Value as serde::Deserialize>::deserialize(one).unwrap()).collect();
    assert_eq!(titles(&documents), titles(&objects), "{yaml}");
    for command in [
        "get",
        "get images --available",
        "get images --available -o json",
        "get -o wide",
        "get -o json",
        "get -o yaml",
        "list show --volume volume vo",
        "list show --volume volume vo --format lines",
        "list show --volume volume vo --format json",
        "list show list.json",
        "list show bad.json",
        "list lint list.json",
        "list lint list.json -o json",
        "list lint bad.json",
        "list lint --previous bad.json list.json",
        "list verify list.json",
        "list verify list.json -o json",
        "cache ls",
        "cache ls -o json",
        "cache verify",
        "cache du",
        "cache gc",
    ] {
        shown(&site, command);
    }
    for entry in fs::read_dir(site.path("volume/state/resources/default/cachedimages")).unwrap() {
        assert_harmless("a kept object", &fs::read_to_string(entry.unwrap().path()).unwrap());
    }
}

#[test]
fn a_signed_list_that_is_verified_shows_none_of_them() {
    let site = site();
    let good = site.serve(GOOD, "1", 1, 50_000);
    for version in ["1.0", &hostile()] {
        let list = site.list(version, &[&good]).with("dc:title", json!(hostile()));
        let signed = harness::signer::sign(&list.json(), &site.pki.endorser, harness::signer::Form::Detached);
        fs::write(site.path("signed"), signed).unwrap();
        for output in ["table", "json"] {
            let told = shown(&site, &format!("list verify signed --trust trust -o {output}"));
            assert_eq!(told.contains("Refused") || told.contains("\"good\": false"), version != "1.0", "{told}");
        }
    }
}

#[test]
fn they_are_no_version_of_a_list_and_of_no_image() {
    let now = "2026-06-01T12:00:00Z".parse().unwrap();
    let list = |version: &str| ListBuilder::new("a-list", now).endorser_names("/CN=a", "/CN=b").version(version);
    for words in WORDS {
        let version = format!("1.0{words}");
        let refused = ImageList::parse(&list(&version).json()).unwrap_err();
        assert!(matches!(&refused, ListError::Field { path, .. } if path == "hv:imagelist.hv:version"), "{refused:?}");
        assert_harmless("a refusal", &refused.to_string());
        let digest = "ab".repeat(64);
        let image =
            list("1.0").image(GOOD, &version, "https://h/a", 7, &digest).image(OTHER, "1", "https://h/b", 7, &digest);
        let read = ImageList::parse(&image.json()).unwrap();
        assert_eq!(read.images.len(), 1);
        assert_eq!((read.refused[0].identifier.as_str(), read.refused[0].reason.as_str()), (GOOD, "ImageMalformed"));
        assert!(read.refused[0].message.starts_with("hv:version: expected a version"), "{:?}", read.refused);
        assert_harmless("a refusal", &read.refused[0].message);
    }
}
