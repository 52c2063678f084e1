//! A CA that issues any common name issues `a/CN=b` in one value, which prints like the endorser's two.

use harness::pki::{CertificateSpec, Identity};
use harness::signer::{Form, sign};
use openssl::x509::X509NameBuilder;

use crate::trust::{PKI, endorser, list_of, now, verdict};

fn with_common_name(value: &str) -> Identity {
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("DC", "org").unwrap();
    name.append_entry_by_text("CN", value).unwrap();
    PKI.intermediate.issue(&CertificateSpec::person("/DC=org/CN=x", now()).named(&name.build()))
}

#[test]
fn one_value_never_equals_two() {
    let real = PKI.intermediate.issue(&CertificateSpec::person("/DC=org/CN=a/CN=b", now()));
    let forged = with_common_name("a/CN=b");
    assert_eq!(real.subject(), forged.subject(), "they print alike");
    let rule = [endorser("real", &real)];
    assert!(verdict(&sign(&list_of(&real), &real, Form::Der), &rule).is_ok());
    let refusal = verdict(&sign(&list_of(&real), &forged, Form::Der), &rule).unwrap_err();
    assert_eq!(refusal.reason.as_str(), "EndorserNotTrusted");
    assert_eq!(refusal.subject.as_deref(), Some(r"/DC=org/CN=a\/CN=b"));
}
