//! CRLs are fetched into the trust directory, beside whoever else does it.

use std::path::PathBuf;

use harness::image_server::{ImageServer, Resource};
use harness::pki::Reason;
use jiff::SignedDuration;
use vmcatcher_operator::anchors::{CrlRefresher, RefreshError, Refreshed, TrustDirectory};
use vmcatcher_operator::fetch::{Client, ClientSettings};
use vmcatcher_operator::trust::RevocationList;

use super::{PKI, now};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

struct Scene {
    folder: tempfile::TempDir,
    server: ImageServer,
    refresher: CrlRefresher,
    target: PathBuf,
}

impl Scene {
    /// A trust directory with the root under an alias and its hash, and these addresses.
    fn new(addresses: &dyn Fn(&ImageServer) -> String) -> Self {
        let (folder, server) = (tempfile::tempdir().unwrap(), ImageServer::start());
        let hash = format!("{:08x}", PKI.root.certificate.subject_name_hash());
        let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
        write("root.pem", &PKI.root.certificate.to_pem().unwrap());
        write("root.crl_url", addresses(&server).as_bytes());
        for ending in ["0", "crl_url"] {
            let original = if ending == "0" { "root.pem" } else { "root.crl_url" };
            std::os::unix::fs::symlink(original, folder.path().join(format!("{hash}.{ending}"))).unwrap();
        }
        let refresher = CrlRefresher::new(folder.path(), Client::new(&ClientSettings::default()).unwrap());
        let target = folder.path().join(format!("{hash}.r0"));
        Self { folder, server, refresher, target }
    }

    fn plain() -> Self {
        Self::new(&|server| format!("# where it is\n{}\n", server.url("/crl")))
    }

    fn refresh(&mut self) -> Refreshed {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut told = runtime.block_on(self.refresher.refresh(now()));
        assert_eq!(told.len(), 1, "alias and hash are one CA: {told:?}");
        told.pop().unwrap()
    }

    fn refusal(&mut self) -> RefreshError {
        self.refresh().outcome.unwrap_err().pop().unwrap()
    }

    fn present(&self) -> RevocationList {
        RevocationList::read(&std::fs::read(&self.target).unwrap()).unwrap()
    }
}

#[test]
fn a_crl_is_fetched_once_and_then_asked_for_conditionally() {
    let mut scene = Scene::plain();
    scene.server.put("/crl", Resource::bytes(PKI.root_crl()).etag("\"one\""));
    assert_eq!(scene.refresh().outcome.unwrap(), Some(scene.target.clone()));
    assert!(std::fs::read(&scene.target).unwrap().starts_with(b"-----BEGIN X509 CRL-----\n"));
    assert_eq!(scene.refresh().outcome.unwrap(), None);
    assert_eq!(scene.server.requests("/crl")[1].status, 304);
    let newer = PKI.root.crl(now()).valid(now() - SignedDuration::from_mins(1), now() + HOUR).pem();
    scene.server.put("/crl", Resource::bytes(newer).etag("\"two\""));
    assert_eq!(scene.refresh().outcome.unwrap(), Some(scene.target.clone()), "PEM as well as DER");
    std::fs::remove_file(&scene.target).unwrap();
    assert_eq!(scene.refresh().outcome.unwrap(), Some(scene.target.clone()), "what is gone is fetched whole");
    let left: Vec<_> = std::fs::read_dir(scene.folder.path()).unwrap().collect();
    assert_eq!(left.len(), 5, "nothing but the CRL is left behind: {left:?}");
}

#[test]
fn what_the_ca_did_not_say_now_is_not_taken() {
    let crl = || PKI.root.crl(now());
    let day = HOUR * 24;
    let cases = [
        ("forged", crl().signed_by(&PKI.stranger).der(), "did not sign"),
        ("another CA's", PKI.intermediate_crl(), "Issuing CA"),
        ("old", crl().valid(now() - day * 9, now() - day).der(), "from "),
        ("of the future", crl().valid(now() + day, now() + day * 9).der(), "from "),
        ("garbage", b"<html>404</html>".to_vec(), "expected CRLs"),
        ("two", [crl().pem(), crl().pem()].concat(), "several"),
    ];
    for (case, bytes, expected) in cases {
        let mut scene = Scene::plain();
        scene.server.put("/crl", Resource::bytes(bytes));
        let refusal = scene.refusal().to_string();
        assert!(refusal.contains(expected), "{case}: {refusal}");
        assert!(!scene.target.exists(), "{case}");
    }
}

/// Who can answer in the server's place could bring back a CRL from before a revocation.
#[test]
fn a_crl_never_goes_back() {
    let mut scene = Scene::plain();
    let revoked = PKI.root.crl(now()).revoke(&PKI.intermediate, Some(Reason::KeyCompromise)).pem();
    std::fs::write(&scene.target, &revoked).unwrap();
    let older = PKI.root.crl(now()).valid(now() - HOUR * 2, now() + HOUR).der();
    scene.server.put("/crl", Resource::bytes(older));
    assert!(matches!(scene.refusal(), RefreshError::GoesBack { .. }));
    assert_eq!(std::fs::read(&scene.target).unwrap(), revoked);
    let lower = PKI.root.crl(now()).valid(now(), now() + HOUR).number(&[0]).der();
    scene.server.put("/crl", Resource::bytes(lower));
    assert!(matches!(scene.refusal(), RefreshError::GoesBack { .. }), "a lower number, though made later");
}

#[test]
fn a_forged_crl_that_lies_there_keeps_nobody_from_the_real_one() {
    let mut scene = Scene::plain();
    let future = PKI.root.crl(now()).valid(now() + HOUR, now() + HOUR * 99).signed_by(&PKI.stranger).pem();
    std::fs::write(&scene.target, future).unwrap();
    scene.server.put("/crl", Resource::bytes(PKI.root_crl()));
    assert_eq!(scene.refresh().outcome.unwrap(), Some(scene.target.clone()));
    assert!(scene.present().this_update() < now());
}

#[test]
fn the_next_address_is_tried_and_another_cas_file_of_the_hash_is_left() {
    let mut scene = Scene::new(&|server| format!("{}; {}\nftp://x/y\n", server.url("/down"), server.url("/crl")));
    scene.server.put("/down", Resource::status(500));
    scene.server.put("/crl", Resource::bytes(PKI.root_crl()));
    let others = PKI.intermediate.crl(now()).pem();
    std::fs::write(&scene.target, &others).unwrap();
    let second = scene.target.with_extension("r1");
    assert_eq!(scene.refresh().outcome.unwrap(), Some(second));
    assert_eq!(std::fs::read(&scene.target).unwrap(), others);
    scene.server.put("/crl", Resource::status(404));
    assert_eq!(scene.refresh().outcome.unwrap_err().len(), 3, "each address says why");
}

/// What metrics tell: each CA's own newest CRL, past or not; nobody else's, and nothing where there is none.
#[test]
fn the_end_of_each_cas_own_crl_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let ends = || {
        let (directory, _) = TrustDirectory::open(folder.path());
        let ends = directory.crl_ends(now()).into_iter();
        ends.map(|(name, end)| (name.to_string(), end.duration_since(now()).as_hours())).collect::<Vec<_>>()
    };
    let write = |name: &str, bytes: Vec<u8>| std::fs::write(folder.path().join(name), bytes).unwrap();
    for (name, authority) in [("root.pem", &PKI.root), ("below.pem", &PKI.intermediate)] {
        write(name, authority.certificate.to_pem().unwrap());
    }
    let crl = |from: i32, to: i32| PKI.intermediate.crl(now()).valid(now() + HOUR * from, now() + HOUR * to);
    write("foreign.r0", crl(-1, 99).signed_by(&PKI.stranger).der());
    assert_eq!(ends(), []);
    write("old.r0", crl(-9, -1).der());
    let name = PKI.endorser.issuer();
    assert_eq!(ends(), [(name.clone(), -1)]);
    write("new.r0", crl(-2, 5).der());
    write("future.r0", crl(1, 50).der());
    assert_eq!(ends(), [(name, 5)]);
}
