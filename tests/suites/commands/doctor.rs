//! `doctor`: a good site has no finding, and each broken one has its own, with a command.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use harness::image_server::Resource;
use harness::opennebula::{Cloud, Dialect};
use harness::site::Site;
use jiff::SignedDuration;
use serde_json::Value;
use vmcatcher_operator::cache::Volume;

use super::least::{UNPRIVILEGED, mode};
use super::{ONE, Ran, once};
use crate::reconcile::targets::{cloud, target};

/// A site with a list, a cloud and a configuration file, after one good run.
struct Patient {
    site: Site,
    cloud: Cloud,
}

impl Patient {
    fn new() -> Self {
        let site = Site::new();
        let cloud = cloud(&site, Dialect::V7_4);
        target(&site, &cloud, "one", "");
        let patient = Self { site, cloud };
        patient.secret("opennebula-test");
        let image = patient.site.serve(ONE, "1", 1, 50_000);
        patient.site.publish(&patient.site.list("1.0", &[&image]));
        fs::write(patient.site.path("configuration.yaml"), "events: {sinks: []}\n").unwrap();
        mode(&patient.site.path("manifests"), 0o700);
        assert_eq!(once(&patient.site, &["-o", "none"]).code, Some(0));
        patient
    }

    fn secret(&self, password: &str) {
        let text = format!(
            "kind: Secret\nmetadata: {{name: one-auth}}\nstringData: {{username: oneadmin, password: {password}}}\n"
        );
        self.site.manifest("secret", &format!("apiVersion: v1\n{text}"));
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.arg("doctor");
        for (option, path) in [
            ("--manifests", "manifests"),
            ("--volume", "volume"),
            ("--trust", "trust"),
            ("--config", "configuration.yaml"),
        ] {
            command.arg(option).arg(self.site.path(path));
        }
        command
    }

    fn examine(&self, more: &[&str]) -> Ran {
        self.command(Path::new(env!("CARGO_BIN_EXE_operator"))).args(more).output().unwrap().into()
    }

    /// The findings: level, area, message and mending command. Whether the volume takes direct writes depends on the file
    /// system of the machine, so that note is left out.
    fn findings(&self) -> Vec<[String; 4]> {
        let ran = self.examine(&["-o", "json"]);
        let findings = read(&ran);
        let wrong = findings.iter().any(|finding| finding[0] == "wrong");
        assert_eq!(ran.code, Some(i32::from(wrong)), "{ran:?}");
        findings
    }
}

fn read(ran: &Ran) -> Vec<[String; 4]> {
    let list: Value = serde_json::from_str(&ran.shown).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let text = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
    let findings = list["items"].as_array().unwrap().iter().map(|finding| {
        let place = format!("{}: {}", text(finding, "place"), text(finding, "message"));
        [text(finding, "level"), text(finding, "area"), place, text(finding, "mend")]
    });
    findings.filter(|finding| !finding[2].contains("takes no direct writes")).collect()
}

#[test]
fn a_good_site_has_no_finding_and_is_not_changed() {
    let patient = Patient::new();
    let before = (patient.site.volume_files(), patient.cloud.world(|world| format!("{:?}", world.images)));
    assert_eq!(patient.findings(), Vec::<[String; 4]>::new());
    let shown = patient.examine(&[]);
    for line in
        ["ok     trust: ", "ok     lists: 1 subscriptions", "ok     clouds: 1 targets", "ok     clock: ", "0 wrong, "]
    {
        assert!(shown.shown.contains(line), "{line}: {shown:?}");
    }
    let quiet = patient.examine(&["--quiet"]);
    assert!(quiet.code == Some(0) && !quiet.shown.contains("ok ") && !quiet.shown.contains("WRONG"), "{quiet:?}");
    let after = (patient.site.volume_files(), patient.cloud.world(|world| format!("{:?}", world.images)));
    assert_eq!(before, after);
}

/// How a site is broken, and the finding that is expected: level, area, a part of the message, a part of the command.
type Case = (fn(&Patient), [&'static str; 4]);

/// The files of a trust directory that end in this.
fn of_trust(patient: &Patient, end: &str) -> Vec<std::path::PathBuf> {
    let files = fs::read_dir(patient.site.path("trust")).unwrap().map(|file| file.unwrap().path());
    files.filter(|file| file.extension().unwrap() == end).collect()
}

/// CRLs of both authorities from this time, which are valid for a week.
fn crls_from(patient: &Patient, ago: SignedDuration) {
    let pki = &patient.site.pki;
    for authority in [&pki.root, &pki.intermediate] {
        let hash = format!("{:08x}.r0", authority.certificate.subject_name_hash());
        let path = patient.site.path("trust").join(hash);
        assert!(path.exists(), "a CRL is replaced");
        fs::write(path, authority.crl(patient.site.now() - ago).der()).unwrap();
    }
}

const OF_TRUST: &[Case] = &[
    (
        |patient| of_trust(patient, "r0").iter().for_each(|file| fs::remove_file(file).unwrap()),
        ["wrong", "trust", "expected a CRL of each authority, found none of 2 authorities", "fetch-crl"],
    ),
    (
        |patient| crls_from(patient, SignedDuration::from_hours(30 * 24)),
        ["wrong", "trust", "found expired ones of 2 authorities", "fetch-crl"],
    ),
    (
        |patient| crls_from(patient, SignedDuration::from_hours(-2)),
        ["wrong", "trust", "found ones that begin later of 2 authorities", "timedatectl"],
    ),
    (
        |patient| crls_from(patient, SignedDuration::from_hours(160)),
        ["note", "trust", "CRLs expire within 24 hours: those of 2 authorities", "--refresh-crls"],
    ),
    (
        |patient| fs::remove_dir_all(patient.site.path("trust")).unwrap(),
        ["wrong", "trust", "expected certificate authorities, found none", "apt-get install igtf-policy-classic"],
    ),
    (
        |patient| fs::write(patient.site.path("trust/bad.r0"), "no CRL").unwrap(),
        ["wrong", "trust", "trust/bad.r0: expected CRLs in PEM or DER", "fetch-crl"],
    ),
];

const OF_FILES: &[Case] = &[
    (
        |patient| fs::remove_dir_all(patient.site.path("volume")).unwrap(),
        ["wrong", "volume", "expected the volume's directory", "install -d -o "],
    ),
    (
        |patient| fs::write(patient.site.path("volume/notes.txt"), "").unwrap(),
        ["note", "volume", "notes.txt: not made by the operator", "mv "],
    ),
    (
        |patient| patient.site.manifest("broken", "kind: ["),
        ["wrong", "manifests", "broken.yaml", "reconcile --manifests "],
    ),
    (
        |patient| patient.site.forget("endorser-endorser"),
        ["wrong", "manifests", "expected the Endorser default/endorser, found none", " --check"],
    ),
    (
        |patient| fs::remove_dir_all(patient.site.path("manifests")).unwrap(),
        ["wrong", "manifests", "cannot read the manifests in", "ls -ld "],
    ),
    (
        |patient| {
            mode(&patient.site.path(""), 0o755);
            mode(&patient.site.path("manifests"), 0o755);
            mode(&patient.site.path("manifests/secret.yaml"), 0o644);
        },
        [
            "wrong",
            "secrets",
            "secret.yaml: expected a file with secrets that only the operator can read",
            "chmod o-rwx ",
        ],
    ),
    (
        |patient| fs::write(patient.site.path("configuration.yaml"), "event: {}\n").unwrap(),
        ["wrong", "events", "event", "config check "],
    ),
    (
        |patient| {
            // The port of a listener that is closed again: nothing listens there.
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let sink = format!(
                "events: {{sinks: [{{name: broker, amqp: {{url: \"amqp://127.0.0.1:{port}/\", exchange: images}}}}]}}\n"
            );
            fs::write(patient.site.path("configuration.yaml"), sink).unwrap();
        },
        ["wrong", "events", "sink broker: expected a receiver at 127.0.0.1 port", "events test broker --config "],
    ),
];

const OF_SERVERS: &[Case] = &[
    (
        |patient| patient.site.server.put("/image.list", Resource::status(500)),
        ["wrong", "lists", "ImageListSubscription default/vo at http://127.0.0.1:", "curl --head http://127.0.0.1:"],
    ),
    (
        |patient| patient.site.server.pass_time(-600),
        ["wrong", "clock", "this machine says ", "timedatectl set-ntp true"],
    ),
    (
        |patient| patient.secret("wrong"),
        ["wrong", "clouds", "CloudTarget default/one at http://127.0.0.1:", "credentials"],
    ),
    (
        |patient| patient.site.forget("secret"),
        ["wrong", "clouds", "expected the Secret default/one-auth, found none", "Secret"],
    ),
];

fn each_is_found(cases: &[Case]) {
    for (broken, expected) in cases {
        let patient = Patient::new();
        broken(&patient);
        let found = patient.findings();
        let is_expected = |finding: &[String; 4]| {
            let [level, area, message, mend] = expected;
            finding[0] == *level && finding[1] == *area && finding[2].contains(message) && finding[3].contains(mend)
        };
        assert!(found.iter().any(is_expected), "{expected:?}\nfound {found:#?}");
        let other = found.iter().find(|finding| finding[1] != expected[1] && finding[1] != "manifests");
        assert_eq!(other, None, "a fault of one area is no fault of another: {expected:?}");
    }
}

#[test]
fn each_fault_of_the_trust_directory_is_found() {
    each_is_found(OF_TRUST);
}

#[test]
fn each_fault_of_files_is_found() {
    each_is_found(OF_FILES);
}

#[test]
fn each_fault_of_servers_is_found() {
    each_is_found(OF_SERVERS);
}

#[test]
fn missing_programs_and_a_volume_in_use_are_found() {
    let patient = Patient::new();
    let mut command = patient.command(Path::new(env!("CARGO_BIN_EXE_operator")));
    let ran = command.args(["-o", "json"]).env("PATH", "/nowhere").output().unwrap().into();
    let found = read(&ran);
    assert!(ran.code == Some(1) && found.iter().any(|finding| finding[3] == "apt-get install qemu-utils"), "{ran:?}");

    let volume = Volume::open(&patient.site.path("volume")).unwrap();
    let [in_use] = &patient.findings()[..] else { panic!("one finding") };
    assert!(
        in_use[0] == "note" && in_use[2].contains(&format!("in use by process {}", std::process::id())),
        "{in_use:?}"
    );
    drop(volume);
    assert_eq!(patient.findings(), Vec::<[String; 4]>::new());
}

#[test]
fn an_account_without_rights_has_findings_and_no_failure() {
    let patient = Patient::new();
    let program = patient.site.path("operator");
    harness::program::copy(env!("CARGO_BIN_EXE_operator").as_ref(), &program);
    for open in ["", "manifests"] {
        mode(&patient.site.path(open), 0o755);
    }
    mode(&patient.site.path("manifests/secret.yaml"), 0o600);
    if fs::metadata(&program).unwrap().uid() != 0 {
        return; // only root can become another account
    }
    let ran: Ran =
        patient.command(&program).args(["-o", "json"]).uid(UNPRIVILEGED).gid(UNPRIVILEGED).output().unwrap().into();
    let found = read(&ran);
    let has = |area: &str, message: &str, mend: &str| {
        found.iter().any(|finding| finding[1] == area && finding[2].contains(message) && finding[3].contains(mend))
    };
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        has("volume", "expected a directory that the account of this command can write", "chown -R 65534:65534 "),
        "{found:#?}"
    );
    assert!(has("manifests", "secret.yaml", "--check"), "{found:#?}");
    assert_eq!(fs::metadata(patient.site.path("volume")).unwrap().permissions().mode() & 0o777, 0o755);
}
