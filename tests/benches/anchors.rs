//! Loading a trust directory as large as the IGTF's: 90 CAs with policies, and CRLs of 240,000 revoked serial numbers in
//! all. The median of 20 runs. Run with `cargo bench -p vmcatcher-tests --bench anchors`.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "figures are printed for people")]

use std::time::{Duration, Instant};

use harness::pki::{CertificateSpec, one_line};
use jiff::Timestamp;
use vmcatcher_operator::anchors;

const AUTHORITIES: u32 = 90;
const SERIALS: u32 = 240_000;
const GOAL: Duration = Duration::from_millis(500);

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let now = Timestamp::now();
    for number in 0..AUTHORITIES {
        let authority = CertificateSpec::authority(&format!("/DC=org/DC=example/CN=CA {number}"), now).build(None);
        let name = one_line(authority.certificate.subject_name());
        let write = |ending: &str, bytes: &[u8]| {
            std::fs::write(folder.path().join(format!("ca-{number}.{ending}")), bytes).unwrap();
        };
        write("pem", &authority.certificate.to_pem().unwrap());
        write("r0", &authority.crl(now).with_others(SERIALS / AUTHORITIES).pem());
        write("info", b"alias = x\n");
        write("namespaces", format!("TO Issuer \"{name}\" PERMIT Subject \"/DC=org/.*\"\n").as_bytes());
        let policy =
            format!("access_id_CA X509 '{name}'\npos_rights globus CA:sign\ncond_subjects globus '\"/DC=org/*\"'\n");
        write("signing_policy", policy.as_bytes());
    }
    let once = || {
        let began = Instant::now();
        let (loaded, problems) = anchors::load(folder.path());
        assert!(problems.is_empty() && loaded.count() == 90 && loaded.crl_count() == 90, "{problems:?}");
        began.elapsed()
    };
    let mut times: Vec<Duration> = (0..20).map(|_| once()).collect();
    times.sort();
    let verdict = if times[10] <= GOAL { "within" } else { "OVER" };
    println!(
        "{AUTHORITIES} CAs, CRLs of {SERIALS} serial numbers: median {:.1?} of 20 ({verdict} {GOAL:?})",
        times[10]
    );
}
