//! `list verify`, beside OpenSSL's verification of the same signature, which reads no list.

use std::fs;
use std::process::Command;

use harness::list::ListBuilder;
use harness::pki::Pki;
use harness::signer::{Form, sign};

use super::measured::{RUNS, better, report, run};

/// Lists of 10, 1,000 and 50,000 images.
pub(crate) fn verify() {
    let (folder, pki) = (tempfile::tempdir().unwrap(), Pki::new());
    let (list, trust) = (folder.path().join("image.list"), folder.path().join("trust"));
    pki.write_trust_dir(&trust);
    for count in [10, 1000, 50_000] {
        let text = ListBuilder::new("bench", pki.now).endorser(&pki.endorser).images(count).json();
        fs::write(&list, sign(&text, &pki.endorser, Form::Detached)).unwrap();
        let (mut ours, mut theirs) = (None, None);
        for _ in 0..RUNS {
            let mut command = Command::new(super::program());
            better(&mut ours, run(command.args(["list", "verify"]).arg(&list).arg("--trust").arg(&trust)));
            let mut command = Command::new("openssl");
            better(&mut theirs, run(command.args(["cms", "-verify", "-noverify", "-in"]).arg(&list)));
        }
        report(&format!("list verify of {count} images"), ours.unwrap(), ("openssl cms -verify", theirs.unwrap()));
    }
}
