use proptest::prelude::*;

use super::*;

fn name(text: &str) -> DistinguishedName {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn a_slash_inside_a_value_is_read_only_where_one_list_of_rdns_fits() {
    assert_eq!(name("/C=PL/CN=host/www.example.org"), name(r"/C=PL/CN=host\/www.example.org"));
    assert_eq!(name("/CN=http://a.example/?b c=d"), name(r"/CN=http:\/\/a.example\/?b c=d"));
    assert_eq!(name("/C=XX/CN=C++ club"), name(r"/C=XX/CN=C\+\+ club"));
    assert_ne!(name("/CN=a/CN=b"), name(r"/CN=a\/CN=b"));
    assert_ne!(name("/O=a+CN=b"), name(r"/O=a\+CN=b"));
    assert!("/CN=host/foo=bar".parse::<DistinguishedName>().is_err());
}

#[test]
fn every_spelling_of_one_name_is_one_name() {
    let spellings = [
        "/DC=ch/DC=cern/O=A, B/UID=u1/emailAddress=a@b.example/CN=N",
        "/dc=ch/Dc=cern/o=A, B/USERID=u1/E=a@b.example/cn=N",
        r"CN=N,E=a@b.example,UID=u1,O=A\, B,DC=cern,DC=ch",
        r#"CN=N; EMAIL=a@b.example; userId=u1; O="A, B"; DC=cern; DC=ch"#,
        r"CN=\4E,1.2.840.113549.1.9.1=#1609614062D656578616D706C65,UID=u1,O=A\2C B,DC=cern,DC=ch",
    ];
    for spelling in &spellings[..4] {
        assert_eq!(name(spelling), name(spellings[0]), "{spelling}");
    }
    assert!(spellings[4].parse::<DistinguishedName>().is_err(), "an odd number of digits");
    assert_eq!(name(r"CN=\4E,OID.2.5.4.10=#0C0141"), name("/O=A/CN=N"));
    assert_eq!(name("/C=XX/O=A+OU=B/CN=M"), name("CN=M,OU=B+O=A,C=XX"));
}

#[test]
fn what_is_no_name_is_refused() {
    let bad = [
        "",
        " ",
        "/",
        "//",
        "CN",
        "/CN",
        "/foo=bar",
        "CN=a,,O=b",
        "CN=a,",
        "C = DE, O = A",
        "CN=\"a",
        "CN=\"a\"b",
        "CN=#zz",
        "CN=a\\",
        "CN=a\\q",
        "/CN=a\\\\b",
        "+CN=a",
        "/+CN=a",
        "CN=a\"b",
        "1.2.=a",
        "/=a",
    ];
    // An arc that overflows must be neither a panic nor another attribute (2^32 + 4 is not 4).
    let overflowing = ["/2.5.33333333333333338=a", "/2.5.4.4294967299=a", "/CN=a/2.5.4.4294967299=b", "/CN=a/2..5=b"];
    // The library reads these arcs and panics when it shows them.
    let overflowing = overflowing.into_iter().chain(["/DC=/Cc/2.6.822362268.3=C/DC=", "/2.5.4.999999999=a"]);
    for text in bad.into_iter().chain(overflowing) {
        assert!(text.parse::<DistinguishedName>().is_err(), "{text:?}");
    }
    if let Ok(name) = "/DC=/Cc/2.6.822362268.3=C/DC".parse::<DistinguishedName>() {
        assert_eq!(name.to_string().parse(), Ok(name), "found by fuzzing: it was read, and could not be shown");
    }
    assert!("/CN=".to_owned().as_str().parse::<DistinguishedName>().is_ok());
    assert!(format!("/CN={}", "a".repeat(5000)).parse::<DistinguishedName>().is_err());
}

/// A number of an attribute in DER that would be shown as another one's: 2^32 + 3, and 2^32 more bits before it.
#[test]
fn an_attribute_in_der_is_shown_as_what_it_is_or_refused() {
    let length = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
    let name = |arc: &[u8]| {
        let pair = [&[0x06, length(arc) + 2, 0x55, 0x04][..], arc, &[0x0c, 1, b'a'][..]].concat();
        let wrap = |tag: u8, inner: Vec<u8>| [&[tag, length(&inner)][..], &inner].concat();
        DistinguishedName::from_der(&wrap(0x30, wrap(0x31, wrap(0x30, pair))))
    };
    assert_eq!(name(&[3]).unwrap().to_string(), "/CN=a");
    assert_eq!(name(&[0x87, 0x67]).unwrap().to_string(), "/2.5.4.999=a");
    for arc in [&[0x90, 0x80, 0x80, 0x80, 0x03][..], &[0x80, 0x03], &[0x81, 0x80, 0x80, 0x80, 0x00]] {
        if let Ok(read) = name(arc) {
            assert_eq!(read.to_string().parse(), Ok(read), "{arc:x?}");
        }
    }
}

#[test]
fn case_and_space_count_for_people_and_not_for_crl_issuers() {
    assert_ne!(name("/O=Grid  CA"), name("/O=grid ca"));
    assert_eq!(name("/O=Grid  CA").folded(), name("/O=grid ca").folded());
    assert_ne!(name("/O=a/CN=b").folded(), name("/CN=b/O=a").folded());
    assert_ne!(name("/O=a/O=b").folded(), name("/O=a+O=b").folded());
}

#[test]
fn a_proxy_is_its_issuer_and_one_more_common_name() {
    let user = name("/C=XX/CN=User");
    assert!(name("/C=XX/CN=User/CN=12345").extends_by_common_name(&user));
    for other in ["/C=XX/CN=User", "/C=XX/CN=User/OU=1", "/C=XX/CN=Other/CN=1", "/CN=1"] {
        assert!(!name(other).extends_by_common_name(&user), "{other}");
    }
}

/// A name of any attributes and any value bytes.
fn any_name() -> impl Strategy<Value = DistinguishedName> {
    let kind = prop::sample::select(vec!["2.5.4.3", "2.5.4.10", "0.9.2342.19200300.100.1.25", "1.2.3.4.5"]);
    let special = prop::sample::select(b"/+=\\,;x41 \"#<>CN".to_vec());
    let value = prop::collection::vec(prop_oneof![any::<u8>(), special], 0..12);
    let pair = (kind.prop_map(|text| ObjectIdentifier::new(text).unwrap()), value);
    let relative = prop::collection::vec(pair, 1..3);
    prop::collection::vec(relative, 1..5).prop_map(DistinguishedName::from_list)
}

proptest! {
    #[test]
    fn what_is_shown_reads_back_as_the_same_name(name in any_name()) {
        prop_assert_eq!(name.to_string().parse::<DistinguishedName>(), Ok(name));
    }

    #[test]
    fn different_names_are_shown_differently(a in any_name(), b in any_name()) {
        prop_assert_eq!(a == b, a.to_string() == b.to_string());
    }

    #[test]
    fn any_text_gives_a_name_or_an_error(text in "[/+=\\\\,;\"#CNO x0-9é]{0,40}") {
        if let Ok(name) = text.parse::<DistinguishedName>() {
            prop_assert_eq!(name.to_string().parse::<DistinguishedName>(), Ok(name));
        }
    }
}
