//! Names as certificates hold them, against the spellings that people and programs write.

use std::path::Path;

use openssl::x509::X509;
use vmcatcher_operator::trust::DistinguishedName;

/// Each certificate's subject equals both of its spellings, is shown as the first, and equals no other's.
#[test]
fn every_vector_agrees() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/dn-vectors");
    let table = std::fs::read_to_string(folder.join("names.tsv")).unwrap();
    let mut subjects = Vec::new();
    for line in table.lines().skip(1) {
        let [file, one_line, rfc2253] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let certificate = X509::from_pem(&std::fs::read(folder.join(file)).unwrap()).unwrap();
        let subject = DistinguishedName::of_subject(&certificate.to_der().unwrap()).unwrap();
        assert_eq!(subject.to_string(), one_line, "{file}");
        assert_eq!(one_line.parse(), Ok(subject.clone()), "{file}");
        assert_eq!(rfc2253.parse(), Ok(subject.clone()), "{file}");
        assert!(!subjects.contains(&subject), "{file}");
        subjects.push(subject);
    }
    assert_eq!(subjects.len(), 11);
}
