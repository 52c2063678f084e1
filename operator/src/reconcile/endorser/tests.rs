//! The report of an endorser, as values: manifests through the real check. Nothing is done for an endorser, so its report is
//! all that its pass makes.

use std::sync::Arc;

use super::check::check;
use super::report::report;
use crate::api::{Endorser, ImageListSubscription};
use crate::reconcile::fixtures::now;
use crate::trust::Anchors;

fn endorser(more: &str) -> Endorser {
    let manifest = format!(
        "metadata: {{name: erin, namespace: n}}\nspec:\n  credentials: [{{name: first, x509: {{subject: /DC=org/CN=Erin, \
         issuer: /DC=org/CN=CA}}}}]\n{more}"
    );
    serde_yaml::from_str(&manifest).unwrap()
}

fn subscription(endorser: &str) -> Arc<ImageListSubscription> {
    let manifest = format!(
        "metadata: {{name: vo, namespace: n}}\nspec: {{source: {{url: \"https://a/\"}}, verify: {{endorserRefs: [{{name: \
         {endorser}}}]}}}}\n"
    );
    Arc::new(serde_yaml::from_str(&manifest).unwrap())
}

#[test]
fn the_report_of_each_case() {
    let table = [
        ("no anchors", "", "False NoTrustAnchors"),
        ("on hold", "  trust: Hold\n", "False Hold"),
        ("revoked", "  trust: Revoked\n", "False Revoked"),
    ];
    for (name, more, expected) in table {
        let object = endorser(more);
        let rule = check(&object).unwrap();
        let subscriptions = [subscription("erin"), subscription("sam")];
        let made = || report(&object, &rule, &subscriptions, Ok(&Anchors::default()), now());
        let report = made();
        assert_eq!(report, made(), "{name}: the same twice");
        assert_eq!(report.status.subscriptions, 1, "{name}");
        let ready = report.status.conditions.iter().find(|one| one.type_ == "Ready").unwrap();
        assert_eq!(format!("{} {}", ready.status, ready.reason), expected, "{name}: {}", ready.message);
        let again = Endorser { status: Some(report.status.clone()), ..object.clone() };
        let later = super::report::report(&again, &rule, &subscriptions, Ok(&Anchors::default()), now());
        assert_eq!(later.status, report.status, "{name}: nothing changes where nothing changed");
    }
    let object = endorser("");
    let lost = report(&object, &check(&object).unwrap(), &[], Err(&"no ConfigMap".to_owned()), now());
    let ready = lost.status.conditions.iter().find(|one| one.type_ == "Ready").unwrap();
    assert_eq!((ready.reason.as_str(), ready.message.as_str()), ("TrustAnchorsNotFound", "no ConfigMap"));
}

#[test]
fn what_cannot_work_is_refused_by_its_field() {
    let table = [
        ("credentials: []", "spec.credentials: expected 1 to 16 credentials, found 0"),
        (
            "credentials: [{name: a, x509: {subject: /CN=a, issuer: /CN=b}}, {name: a, x509: {subject: /CN=c, issuer: /CN=d}}]",
            "spec.credentials: expected one credential of each name, found \"a\" twice",
        ),
        (
            "credentials: [{name: a}]",
            "spec.credentials[a]: expected exactly one of x509, openPGP and cosign, found several or none",
        ),
    ];
    for (spec, expected) in table {
        let manifest = format!("metadata: {{name: erin, namespace: n}}\nspec: {{{spec}}}\n");
        let object: Endorser = serde_yaml::from_str(&manifest).unwrap();
        assert_eq!(check(&object).unwrap_err().to_string(), expected);
    }
}
