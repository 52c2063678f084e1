//! Whoever may add files to a trust directory, or hold back a CRL on the way, brings an old one from before a revocation:
//! beside the newer one it says nothing, whatever its file is called and whichever is read first.

use harness::pki::Reason;
use harness::signer::{Form, sign};
use jiff::SignedDuration;

use crate::trust::{PKI, endorser, list_of, now, request, told};
use vmcatcher_operator::anchors;
use vmcatcher_operator::trust::verify;

#[test]
fn the_newest_crl_decides_wherever_it_is() {
    let hour = SignedDuration::from_hours(1);
    let root = PKI.root.certificate.to_pem().unwrap();
    let of_root = PKI.root_crl();
    let before = PKI.intermediate.crl(now()).valid(now() - hour * 20, now() + hour * 100).number(&[9]).der();
    let after = PKI.intermediate.crl(now()).revoke(&PKI.endorser, Some(Reason::KeyCompromise)).number(&[1]).der();
    let message = sign(&list_of(&PKI.endorser), &PKI.endorser, Form::Der);
    for (first, second) in [(&before, &after), (&after, &before)] {
        let files = [("root.pem", &root), ("root.r0", &of_root), ("a.r0", first), ("b.r0", second)];
        let (anchors, problems) = anchors::from_files(files.map(|(name, bytes)| (name, bytes.as_slice())));
        assert!(problems.is_empty(), "{problems:?}");
        let refusal = verify(&message, &request(&anchors, &[endorser("erin", &PKI.endorser)], 1)).outcome.unwrap_err();
        assert_eq!(told(&refusal), ("CertificateRevoked".to_owned(), "Erin Endorser".to_owned(), Some(0)), "{refusal}");
    }
}
