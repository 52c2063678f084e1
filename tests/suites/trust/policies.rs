//! Signing policies: on every certificate of the path, and all of the real distribution.

use std::path::Path;

use harness::pki::{INTERMEDIATE, ROOT};
use harness::signer::{Form, sign};
use vmcatcher_operator::anchors;
use vmcatcher_operator::trust::{Anchors, DistinguishedName, Refusal, VerifiedList, verify};

use super::{PKI, endorser, list_of, request, told};

/// Where Debian's igtf-policy packages put what they bring; the first two are what tests/run installs.
const DISTRIBUTION: &str = "/etc/grid-security/certificates";

fn eacl(issuer: &str, pattern: &str) -> (&'static str, String) {
    let text =
        format!("access_id_CA X509 '{issuer}'\npos_rights globus CA:sign\ncond_subjects globus '\"{pattern}\"'\n");
    ("signing_policy", text)
}

fn namespaces(issuer: &str, right: &str, pattern: &str) -> (&'static str, String) {
    ("namespaces", format!("TO Issuer \"{issuer}\" {right} Subject \"{pattern}\"\n"))
}

/// A trust directory of the root and these policy files, named after it.
fn directory(policies: &[(&str, String)]) -> (Anchors, Vec<String>) {
    let (root, crls) = (PKI.root.certificate.to_pem().unwrap(), [PKI.root_crl(), PKI.intermediate_crl()]);
    let named: Vec<(String, &[u8])> = policies
        .iter()
        .enumerate()
        .map(|(index, (ending, text))| {
            (if index == 0 { format!("root.{ending}") } else { format!("{index}.{ending}") }, text.as_bytes())
        })
        .collect();
    let fixed = [("root.pem", root.as_slice()), ("a.r0", &crls[0]), ("b.r0", &crls[1])];
    let files = fixed.into_iter().chain(named.iter().map(|(name, text)| (name.as_str(), *text)));
    let (anchors, problems) = anchors::from_files(files);
    (anchors, problems.iter().map(ToString::to_string).collect())
}

fn outcome(policies: &[(&str, String)]) -> Result<VerifiedList, Refusal> {
    let message = sign(&list_of(&PKI.endorser), &PKI.endorser, Form::Der);
    verify(&message, &request(&directory(policies).0, &[endorser("erin", &PKI.endorser)], 1)).outcome
}

#[test]
fn every_certificate_of_the_path_is_asked() {
    let (ca, people) = ("/DC=org/DC=example/CN=*", "/DC=org/DC=example/O=People/*");
    let good = [eacl(ROOT, ca), eacl(INTERMEDIATE, people)];
    let mixed = [namespaces(ROOT, "PERMIT", INTERMEDIATE), eacl(INTERMEDIATE, people)];
    let either = [eacl(ROOT, ca), eacl(INTERMEDIATE, "/DC=other/*"), namespaces(INTERMEDIATE, "PERMIT", "/DC=org/.*")];
    for policies in [&good[..], &mixed, &either] {
        assert!(outcome(policies).is_ok(), "{policies:?}");
    }
    let (leaf, above) = (("Erin Endorser".to_owned(), Some(0)), ("Issuing CA".to_owned(), Some(1)));
    let table = [
        ("leaf", vec![eacl(ROOT, ca), eacl(INTERMEDIATE, "/DC=other/*")], &leaf),
        ("intermediate", vec![eacl(ROOT, "/DC=other/*"), eacl(INTERMEDIATE, people)], &above),
        ("no policy of the intermediate", vec![eacl(ROOT, ca)], &leaf),
        ("no policy of the root", vec![eacl(INTERMEDIATE, people)], &above),
        (
            "denied",
            vec![eacl(ROOT, ca), eacl(INTERMEDIATE, people), namespaces(INTERMEDIATE, "DENY", ".*Erin.*")],
            &leaf,
        ),
        ("only .info", vec![("info", String::new())], &leaf),
        ("both", vec![eacl(ROOT, "/DC=other/*"), eacl(INTERMEDIATE, "/DC=other/*")], &leaf),
    ];
    for (case, policies, expected) in table {
        let (reason, name, depth) = told(&outcome(&policies).unwrap_err());
        assert_eq!((reason.as_str(), &(name, depth)), ("NamespaceViolation", expected), "{case}");
    }
    assert!(outcome(&[]).is_ok(), "a plain bundle is not asked");
}

/// A policy file that cannot be read costs its CA, whatever others say of it, and is told; other CAs work.
#[test]
fn a_bad_policy_file_costs_its_ca() {
    let good = eacl(ROOT, "/DC=org/DC=example/CN=*");
    let below = eacl(INTERMEDIATE, "/DC=org/DC=example/O=People/*");
    let bad = ("namespaces", "TO Issuer \"unbalanced".to_owned());
    let policies = [bad, good, below];
    assert_eq!(
        told(&outcome(&policies).unwrap_err()),
        ("NamespaceViolation".to_owned(), "Issuing CA".to_owned(), Some(1))
    );
    let (_, problems) = directory(&policies);
    assert_eq!(problems.len(), 1);
    assert!(problems[0].starts_with("root.namespaces: expected a signing policy"), "{problems:?}");
    let elsewhere = [policies[1].clone(), policies[2].clone(), policies[0].clone()];
    assert!(outcome(&elsewhere).is_ok(), "another CA's bad file");
}

/// The patterns of a file, as plainly as they stand there.
fn patterns(text: &str) -> Vec<String> {
    let conditions = text.lines().filter(|line| !line.trim().starts_with('#') && line.contains("cond_subjects"));
    conditions.flat_map(|line| line.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// All CAs of the distribution load, and each signs inside its namespace and not outside.
#[test]
fn the_real_distribution_is_understood() {
    let folder = Path::new(DISTRIBUTION);
    if !folder.join("DZeScience.info").exists() {
        eprintln!("not run: no igtf-policy packages in {DISTRIBUTION} (tests/run installs them)");
        return;
    }
    let (anchors, problems) = anchors::load(folder);
    let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems, Vec::<String>::new());
    let (mut asked, mut policies) = (0, 0);
    let outside: DistinguishedName = "/C=ZZ/O=Nobody/CN=Outside".parse().unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let alias = path.file_stem().unwrap().to_str().unwrap();
        if path.extension().is_none_or(|ending| ending != "pem") {
            continue;
        }
        let certificate = openssl::x509::X509::from_pem(&std::fs::read(&path).unwrap()).unwrap();
        let issuer = DistinguishedName::of_subject(&certificate.to_der().unwrap()).unwrap();
        assert!(anchors.subjects().any(|subject| *subject == issuer), "{alias}");
        let text = std::fs::read_to_string(folder.join(format!("{alias}.signing_policy"))).unwrap();
        for pattern in patterns(&text) {
            let inside: DistinguishedName = pattern.replace('*', "CN=Inside").parse().unwrap();
            assert_eq!(anchors.namespace_objection(&issuer, &inside), None, "{alias}: {inside}");
            policies += 1;
        }
        assert!(anchors.namespace_objection(&issuer, &outside).is_some(), "{alias}");
        asked += 1;
    }
    assert_eq!(asked, anchors.count());
    assert!(asked > 60 && policies > asked, "{asked} CAs, {policies} patterns");
}
