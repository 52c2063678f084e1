//! An endorser has two certificates, and the second one acts as another endorser: the original looked credentials up by
//! the wrong column, so that Alice's second certificate signed as Bob, and Bob's own was unknown.

use harness::signer::{Form, sign};
use vmcatcher_operator::trust::EndorserRule;

use crate::trust::{PKI, credential, endorser, list_of, verdict};

#[test]
fn each_certificate_signs_for_its_own_endorser_only() {
    let alice = EndorserRule {
        credentials: vec![credential(&PKI.direct), credential(&PKI.endorser)],
        ..endorser("alice", &PKI.direct)
    };
    let bob = endorser("bob", &PKI.second);
    let signed = |identity| sign(&list_of(identity), identity, Form::Der);
    let second_of_alice = signed(&PKI.endorser);
    let both = [alice.clone(), bob.clone()];
    assert_eq!(verdict(&second_of_alice, &both).unwrap().signers()[0].endorser.as_deref(), Some("alice"));
    assert_eq!(verdict(&signed(&PKI.second), &both).unwrap().signers()[0].endorser.as_deref(), Some("bob"));
    let refusal = verdict(&second_of_alice, &[bob]).unwrap_err();
    assert_eq!(refusal.reason.as_str(), "EndorserNotTrusted");
    assert_eq!(verdict(&signed(&PKI.second), &[alice]).unwrap_err().reason.as_str(), "EndorserNotTrusted");
}
