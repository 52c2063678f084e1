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
        "C = DE, O=A",
        "C= DE, O= A",
        "C =DE,O =A",
        "subject=",
        "issuer",
        "subject=subject=/CN=a",
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
    let name = |arc: &[u8]| -> Option<DistinguishedName> {
        let pair = [&[0x06, length(arc) + 2, 0x55, 0x04][..], arc, &[0x0c, 1, b'a'][..]].concat();
        let wrap = |tag: u8, inner: Vec<u8>| [&[tag, length(&inner)][..], &inner].concat();
        DistinguishedName::from_der(&wrap(0x30, wrap(0x31, wrap(0x30, pair))))
    };
    assert_eq!(name(&[3]).unwrap().to_string(), "/CN=a");
    assert_eq!(name(&[0x87, 0x67]).unwrap().to_string(), "/2.5.4.999=a");
    for arc in [&[0x90, 0x80, 0x80, 0x80, 0x03][..], &[0x80, 0x03], &[0x81, 0x80, 0x80, 0x80, 0x00]] {
        if let Some(read) = name(arc) {
            assert_eq!(read.to_string().parse(), Ok(read), "{arc:x?}");
        }
    }
}

#[test]
fn case_and_runs_of_spaces_do_not_count_and_all_else_does() {
    assert_eq!(name("/O=Grid  CA"), name("/O=grid ca"));
    assert_ne!(name("/O=a/CN=b"), name("/CN=b/O=a"));
    assert_ne!(name("/O=a/O=b"), name("/O=a+O=b"));
    assert_ne!(name("/O=GridCA"), name("/O=Grid CA"));
    assert_eq!(name("/O=Grid  CA").to_string(), "/O=Grid  CA", "it is shown as it was written");
}

/// Which end comes first is told by how the writer sets spaces; `openssl` of 3.2 and later leaves those around `=` out.
#[test]
fn what_openssl_3_prints_has_the_most_significant_first() {
    let expected = name("/C=XX/O=A, B/OU=C+CN=D = E/CN=F");
    let printed = [
        r#"C = XX, O = "A, B", OU = C + CN = D = E, CN = F"#,
        r#"subject=C = XX, O = "A, B", OU = C + CN = D = E, CN = F"#,
        r#"subject= C = XX, O = "A, B", OU = C + CN = D = E, CN = F"#,
        r#"issuer=C=XX, O="A, B", OU=C + CN=D \3D E, CN=F"#,
        r#"C=XX, O="A, B", OU=C + CN=D = E, CN=F"#,
        r"CN=F,OU=C+CN=D = E,O=A\, B,C=XX",
        r"subject=CN=F,OU=C+CN=D = E,O=A\, B,C=XX",
        r"CN=F, OU=C + CN=D = E, O=A\, B, C=XX",
        "\t/C=XX/O=A, B/OU=C+CN=D = E/CN=F\r\n",
        "subject= /C=XX/O=A, B/OU=C+CN=D = E/CN=F\n",
    ];
    for text in printed {
        assert_eq!(name(text), expected, "{text}");
    }
    assert_eq!(name("DC = org, DC = example, CN = a"), name("/DC=org/DC=example/CN=a"));
    assert_eq!(name("DC=org, DC=example, CN=a"), name("/DC=org/DC=example/CN=a"));
    assert_eq!(name("DC=org,DC=example,CN=a"), name("/CN=a/DC=example/DC=org"));
    assert_eq!(name("CN=a, DC=example, DC=org"), name("/DC=org/DC=example/CN=a"));
    assert_eq!(name("CN=a; O=b; C=XX"), name("/C=XX/O=b/CN=a"));
    assert_eq!(name("subject=CN = a"), name("/CN=a"));
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
    prop::collection::vec(relative, 1..5).prop_map(DistinguishedName::from_octets)
}

proptest! {
    #[test]
    fn what_is_shown_reads_back_as_the_same_name(name in any_name()) {
        prop_assert_eq!(name.to_string().parse::<DistinguishedName>(), Ok(name));
    }

    #[test]
    fn different_names_are_shown_differently(a in any_name(), b in any_name()) {
        prop_assert!(a == b || a.to_string() != b.to_string());
        prop_assert_eq!(a == b, a.cmp(&b).is_eq());
    }

    /// What is equal differs in case, in spaces and in how it is composed; in nothing that a person would see.
    #[test]
    fn equal_values_have_the_same_letters(a in "[aAeE\u{301}é \u{200b}ﬁfi\u{a0}Ａ]{0,6}", b in "[aAeE\u{301}é \u{200b}ﬁfi\u{a0}Ａ]{0,6}") {
        use unicode_normalization::UnicodeNormalization;
        let seen = |text: &str| -> Vec<char> {
            text.nfc().flat_map(char::to_lowercase).collect::<String>().split(' ').filter(|word| !word.is_empty())
                .flat_map(|word| word.chars().chain([' '])).collect()
        };
        let of = |text: &str| DistinguishedName::from_octets(vec![vec![(attribute::COMMON_NAME, text.as_bytes().to_vec())]]);
        if of(&a) == of(&b) {
            prop_assert_eq!(seen(&a), seen(&b));
        }
    }

    /// One character in every string type is one value.
    #[test]
    fn every_string_type_is_one_value(text in "[ -~¡-ÿ]{1,12}") {
        let utf8 = Value::of_element(0x0c, text.as_bytes());
        let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let utf32: Vec<u8> = text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect();
        prop_assert_eq!(&Value::of_element(tlv::BMP_STRING, &utf16), &utf8);
        prop_assert_eq!(&Value::of_element(tlv::UNIVERSAL_STRING, &utf32), &utf8);
        let latin1: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        if std::str::from_utf8(&latin1).is_err() || text.is_ascii() {
            prop_assert_eq!(&Value::of_element(0x14, &latin1), &utf8);
        }
    }

    #[test]
    fn no_octets_make_a_name_panic(tag in any::<u8>(), octets in prop::collection::vec(any::<u8>(), 0..12)) {
        let value = Value::of_element(tag, &octets);
        prop_assert_eq!(&Value::of_element(tag, &octets), &value);
        let _ = DistinguishedName::from_der(&octets);
    }

    #[test]
    fn any_text_gives_a_name_or_an_error(text in "[/+=\\\\,;\"#CNO x0-9é]{0,40}") {
        if let Ok(name) = text.parse::<DistinguishedName>() {
            prop_assert_eq!(name.to_string().parse::<DistinguishedName>(), Ok(name));
        }
    }
}
