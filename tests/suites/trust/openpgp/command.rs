//! `list verify` and `list sign` with OpenPGP keys, as a person runs them.

use std::process::{Command, Output};

use harness::gpg::{Gpg, PgpForm};
use harness::list::ListBuilder;
use jiff::Timestamp;
use serde_json::Value;

fn run(arguments: &[&str], password: Option<&str>) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_operator"));
    command.arg("list").args(arguments).env_remove("VMCATCHER_OPENPGP_PASSWORD");
    command.envs(password.map(|password| ("VMCATCHER_OPENPGP_PASSWORD", password)));
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

struct Scene {
    folder: tempfile::TempDir,
    gpg: Gpg,
    key: String,
}

impl Scene {
    fn new() -> Self {
        let (folder, gpg) = (tempfile::tempdir().unwrap(), Gpg::at(Timestamp::now()));
        let key = gpg.key("Ann", "ed25519", "30d");
        let scene = Self { folder, gpg, key };
        scene.write("public.asc", &scene.gpg.export(&scene.key));
        scene.write("secret.asc", &scene.gpg.export_secret(&scene.key));
        scene.write("list.json", &scene.list("/CN=somebody"));
        scene
    }

    fn list(&self, named: &str) -> Vec<u8> {
        ListBuilder::new("a-list", self.gpg.clock()).endorser_names(named, "/CN=any").images(3).json()
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    fn verify(&self, name: &str, more: &[&str]) -> (Option<i32>, String, String) {
        let trust = self.path("no-trust");
        run(
            &[&["verify", &self.path(name), "--trust", &trust, "--openpgp-key", &self.path("public.asc")], more]
                .concat(),
            None,
        )
    }

    fn sign(&self, list: &str, key: &str, out: &str, more: &[&str], password: Option<&str>) -> (Option<i32>, String) {
        let (list, key, out) = (self.path(list), self.path(key), self.path(out));
        let (status, _, told) =
            run(&[&["sign", &list, "--openpgp-key", &key, "--output", &out], more].concat(), password);
        (status, told)
    }
}

#[test]
fn every_check_of_an_openpgp_list_is_a_row() {
    let scene = Scene::new();
    scene.write("clear", &scene.gpg.sign(&scene.list("/CN=x"), &scene.key, PgpForm::Clear));
    let (status, shown, told) = scene.verify("clear", &[]);
    assert_eq!(status, Some(0), "{shown}{told}");
    for row in [
        "OpenPGP, clear-signed, 1 signature",
        "✓  signature fits the text",
        "✓  key is not revoked",
        "✓  digests are allowed",
        "✓  key may sign, and is in its time",
        "✓  signer is a trusted endorser",
        "–  hv:endorser names the signer",
        "RFC 9580",
        &format!("openpgp4fpr:{}", scene.key),
        "Good: a-list",
    ] {
        assert!(shown.contains(row), "{row}\n{shown}");
    }
    let (status, shown, _) = scene.verify("clear", &["-o", "json"]);
    let document: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(
        (status, &document["list"]["signers"][0]["subject"]),
        (Some(0), &format!("openpgp4fpr:{}", scene.key).into())
    );
    scene.write("public.asc", &[scene.gpg.export(&scene.key), scene.gpg.revocation(&scene.key, 1)].concat());
    let (status, shown, _) = scene.verify("clear", &[]);
    assert_eq!(status, Some(1));
    assert!(shown.contains("✗  key is not revoked") && shown.contains("Refused: CertificateRevoked"), "{shown}");
    let other = scene.gpg.key("Bob", "ed25519", "never");
    scene.write("public.asc", &scene.gpg.export(&other));
    let (_, shown, _) = scene.verify("clear", &[]);
    assert!(shown.contains("–  signature fits the text") && shown.contains("Refused: EndorserNotTrusted"), "{shown}");
}

#[test]
fn what_is_signed_is_taken_by_us_and_by_gpg() {
    let scene = Scene::new();
    for algorithm in ["ed25519", "rsa3072", "nistp256"] {
        let key = scene.gpg.key(&format!("Signer {algorithm}"), algorithm, "never");
        let subkey = if algorithm == "nistp256" { key.clone() } else { scene.gpg.subkey(&key, algorithm, "never") };
        scene.write("public.asc", &scene.gpg.export(&key));
        scene.write("key.asc", &scene.gpg.export_secret(&key));
        let later = scene.gpg.clock() + jiff::SignedDuration::from_hours(1);
        assert_eq!(scene.sign("list.json", "key.asc", "list.clear", &[], None).0, Some(0), "{algorithm}");
        let (status, shown, _) = scene.verify("list.clear", &[]);
        assert!(
            status == Some(0) && shown.contains(&subkey),
            "{algorithm}: the newest subkey signs, or else the key\n{shown}"
        );
        let gpg = Gpg::at(later);
        gpg.import(&scene.gpg.export(&key));
        let read = |name: &str| std::fs::read(scene.path(name)).unwrap();
        assert!(gpg.verifies(&read("list.clear"), None), "{algorithm}");
        assert_eq!(
            scene.sign("list.json", "key.asc", "list.json.asc", &["--detached"], None).0,
            Some(0),
            "{algorithm}"
        );
        assert!(gpg.verifies(&read("list.json.asc"), Some(&read("list.json"))), "{algorithm}");
        assert_eq!(scene.verify("list.json", &[]).0, Some(0), "{algorithm}: list.json.asc is taken by itself");
        std::fs::remove_file(scene.path("list.json.asc")).unwrap();
        assert_eq!(scene.verify("list.json", &[]).0, Some(1), "{algorithm}: no signature");
    }
}

#[test]
fn what_cannot_be_signed() {
    let scene = Scene::new();
    let refused = |list: &str, key: &str, password: Option<&str>, words: &str| {
        let (status, told) = scene.sign(list, key, "out", &[], password);
        assert!(status != Some(0) && told.contains(words), "{words}: {told}");
    };
    refused("list.json", "public.asc", None, "expected one OpenPGP secret key");
    refused("list.json", "list.json", None, "expected one OpenPGP secret key");
    scene.write("other.json", &scene.list(&"0".repeat(40)));
    refused("other.json", "secret.asc", None, "expected hv:endorser with hv:dn openpgp4fpr:");
    scene.write("own.json", &scene.list(&scene.key));
    assert_eq!(scene.sign("own.json", "secret.asc", "out", &[], None).0, Some(0));
    scene.write("weak.asc", &scene.gpg.export_secret(&scene.gpg.key("Will", "rsa1024", "never")));
    refused("list.json", "weak.asc", None, "RSA of 1024 bits");
    let user = "Pat <pat@example.org>";
    scene.gpg.run(&["--passphrase", "correct horse", "--quick-generate-key", user, "ed25519", "sign", "never"], b"");
    let locked = scene.gpg.run(&["--passphrase", "correct horse", "--armor", "--export-secret-keys", user], b"");
    scene.write("locked.asc", &locked);
    refused("list.json", "locked.asc", None, "is its password right?");
    refused("list.json", "locked.asc", Some("wrong"), "is its password right?");
    assert_eq!(scene.sign("list.json", "locked.asc", "out", &[], Some("correct horse")), (Some(0), String::new()));
}
