//! The endorser's key was stolen, its CA revoked it, and the server goes on sending the list of before. The original
//! kept the images for ever, since any refusal changed nothing.

use harness::pki::Reason;
use harness::signer::{Form, sign};
use vmcatcher_operator::trust::{Anchors, Reverification, accept, reverify};

use crate::trust::{PKI, ask_nothing, endorser, list_of, now, request, verdict};

#[test]
fn the_list_in_force_is_withdrawn() {
    let endorsers = [endorser("erin", &PKI.endorser)];
    let message = sign(&list_of(&PKI.endorser), &PKI.endorser, Form::Detached);
    let last = accept(verdict(&message, &endorsers).unwrap(), &ask_nothing()).outcome.unwrap().last_accepted();
    let mut builder = Anchors::builder();
    builder.add_certificates(&PKI.root.certificate.to_pem().unwrap()).unwrap();
    builder.add_crls(&PKI.root_crl()).unwrap();
    builder.add_crls(&PKI.intermediate.crl(now()).revoke(&PKI.endorser, Some(Reason::KeyCompromise)).der()).unwrap();
    let anchors = builder.build();
    let stands = reverify(&message, &last, &request(&anchors, &endorsers, 1));
    assert!(matches!(stands, Reverification::Withdrawn(_, refusal) if refusal.reason.as_str() == "CertificateRevoked"));
}
