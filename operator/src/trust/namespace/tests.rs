use proptest::prelude::*;

use super::*;

const CA: &str = "/C=XX/O=Example, Inc./CN=Example CA";

fn name(text: &str) -> DistinguishedName {
    text.parse().unwrap()
}

/// What a file says of a subject of the example CA.
fn said(file: &Result<PolicyFile, String>, subject: &str) -> Option<bool> {
    file.as_ref().unwrap().decides(&name(CA), &name(subject).spellings())
}

fn eacl(conditions: &str) -> Result<PolicyFile, String> {
    let head = format!("# a comment 'with a quote\n access_id_CA\tX509  '{CA}'\n pos_rights globus CA:sign\n");
    parse_signing_policy(format!("{head}{conditions}\n").as_bytes())
}

#[test]
fn eacl_globs_take_the_whole_name_and_nothing_in_them_is_special_but_star_and_question_mark() {
    let table = [
        (r#"cond_subjects globus '"/C=XX/O=People/*"'"#, "/C=XX/O=People/CN=A", true),
        (r#"cond_subjects globus '"/C=XX/O=People/*"'"#, "/C=XX/O=Peoples/CN=A", false),
        (r#"cond_subjects globus '"/C=XX/O=People/*"'"#, "/DC=org/C=XX/O=People/CN=A", false),
        (r#"cond_subjects globus '"/C=XX/O=a" "/C=XX/O=b/*"'"#, "/C=XX/O=b/CN=A", true),
        (r#"cond_subjects globus '"/C=XX/O=a" "/C=XX/O=b/*"'"#, "/C=XX/O=a/CN=A", false),
        ("cond_subjects globus '/C=XX/O=bare/*'", "/C=XX/O=bare/CN=A", true),
        (r#"cond_subjects globus "/C=XX/CN=CA G?""#, "/C=XX/CN=CA G3", true),
        (r#"cond_subjects globus '"/C=XX/CN=CA G3 [Run by the Issuer]"'"#, "/C=XX/CN=CA G3 [Run by the Issuer]", true),
        (r#"cond_subjects globus '"/C=XX/CN=CA G3 [Run by the Issuer]"'"#, "/C=XX/CN=CA G3 R", false),
        (r#"cond_subjects globus '"/C=XX/CN=CA (old*"'"#, "/C=XX/CN=CA (old)", true),
        (r#"cond_subjects globus '"/C=XX/O=A.B/*"'"#, "/C=XX/O=AxB/CN=A", false),
        (r#"cond_subjects globus '"/C=XX/Email=*"'"#, "/C=XX/emailAddress=a@b.example", true),
    ];
    for (conditions, subject, expected) in table {
        assert_eq!(said(&eacl(conditions), subject).unwrap_or(false), expected, "{conditions} {subject}");
    }
}

#[test]
fn eacl_has_several_blocks_and_rights() {
    let other = "access_id_CA X509 '/C=YY/CN=Other'\npos_rights globus CA:sign\ncond_subjects globus '\"/C=YY/*\"'";
    let file = eacl(&format!("cond_subjects globus '\"/C=XX/*\"'\n{other}"));
    assert_eq!(said(&file, "/C=XX/CN=A"), Some(true));
    assert_eq!(said(&file, "/C=YY/CN=A"), None);
    assert_eq!(file.unwrap().decides(&name("/C=YY/CN=Other"), &["/C=YY/CN=A".to_owned()]), Some(true));
    let denied = "neg_rights globus CA:sign\ncond_subjects globus '\"/C=XX/O=bad/*\"'\n\
                  pos_rights globus CA:sign \\\n cond_subjects globus '\"/C=XX/*\"'";
    let file = eacl(denied);
    assert_eq!(said(&file, "/C=XX/O=bad/CN=A"), Some(false));
    assert_eq!(said(&file, "/C=XX/O=good/CN=A"), Some(true));
}

#[test]
fn eacl_that_is_not_understood_is_useless() {
    for conditions in [
        "",
        "cond_subjects globus",
        "cond_subjects globus '\"/C=XX/*'",
        "cond_subjects globus '\"/C=XX/*\" /C=YY/*'",
        "cond_subjects other '\"/C=XX/*\"'",
        "cond_time globus '9-17'\ncond_subjects globus '\"/C=XX/*\"'",
        "pos_rights globus CA:delegate\ncond_subjects globus '\"/C=XX/*\"'",
        "access_id_CA X509 'no name'\ncond_subjects globus '\"/C=XX/*\"'",
        "access_id_CA X509 '/CN=b'\ncond_subjects globus '\"/C=XX/*\"'",
        "cond_subjects globus 'unclosed",
    ] {
        assert!(eacl(conditions).is_err(), "{conditions}");
    }
}

fn namespaces(text: &str) -> Result<PolicyFile, String> {
    parse_namespaces(text.replace("CA", CA).as_bytes(), &[name(CA)])
}

#[test]
fn namespaces_are_statements_in_order() {
    let one = r#"TO Issuer "CA" PERMIT Subject "/C=XX/O=People/.*""#;
    let over_lines = "#NAMESPACES-VERSION: 1.0\n# TO Issuer \"CA\" DENY Subject \".*\"\nTO Issuer \"CA\" \\\n  PERMIT \\ \n  Subject \\\n \"/C=XX/O=People/.*\"";
    let own = r#"to issuer self permit subject "/C=XX/O=People/.*""#;
    for text in [one, over_lines, own] {
        assert_eq!(said(&namespaces(text), "/C=XX/O=People/CN=A"), Some(true), "{text}");
        assert_eq!(said(&namespaces(text), "/C=XX/O=Other/CN=A"), None, "{text}");
        assert_eq!(said(&namespaces(text), "/DC=x/C=XX/O=People/CN=A"), None, "{text}");
    }
    let denied = r#"TO Issuer SELF DENY Subject ".*/CN=bad" TO Issuer "CA" PERMIT Subject "/C=XX/.*""#;
    assert_eq!(said(&namespaces(denied), "/C=XX/CN=bad"), Some(false));
    assert_eq!(said(&namespaces(denied), "/C=XX/CN=good"), Some(true));
}

#[test]
fn namespaces_hold_expressions_and_texts_that_only_look_like_some() {
    let table = [
        ("/C=XX/CN=(a|b)", "/C=XX/CN=b", true),
        ("/C=XX/CN=(a|b)", "/C=XX/CN=c", false),
        ("/C=XX/CN=G3  [Run by the Issuer]", "/C=XX/CN=G3 [Run by the Issuer]", true),
        ("/C=XX/CN=CA (old", "/C=XX/CN=CA (old", true),
        ("/C=XX/CN=CA (old", "/C=XX/CN=CA old", false),
        ("/C=XX/O=A, Inc./.*", "/C=XX/O=A, Inc./CN=a", true),
        ("/C=XX/.*|/C=YY/.*", "/C=ZZ/O=x/C=YY/CN=a", false),
        ("/C=XX", "/C=XX/CN=a", false),
    ];
    for (pattern, subject, expected) in table {
        let text = format!("TO Issuer SELF PERMIT Subject \"{pattern}\"");
        let file = parse_namespaces(text.as_bytes(), &[name(CA)]);
        assert_eq!(said(&file, subject).unwrap_or(false), expected, "{pattern} {subject}");
    }
}

#[test]
fn namespaces_that_are_not_understood_are_useless() {
    for text in [
        "",
        "#NAMESPACES-VERSION: 2.0\nTO Issuer SELF PERMIT Subject \".*\"",
        "TO Issuer \"CA\" PERMIT Subject",
        "TO Issuer \"CA\" PERMIT Subject /C=XX/.*",
        "TO Issuer \"CA\" ALLOW Subject \".*\"",
        "TO Issuer \"no name\" PERMIT Subject \".*\"",
        "FROM Issuer \"CA\" PERMIT Subject \".*\"",
        "TO Issuer \"CA\" PERMIT Subject \".*",
    ] {
        assert!(namespaces(text).is_err(), "{text}");
    }
    assert!(parse_namespaces(b"TO Issuer SELF PERMIT Subject \".*\"", &[]).is_err());
}

#[test]
fn a_slash_inside_a_value_never_poses_as_rdns() {
    let file = eacl(r#"cond_subjects globus '"/C=XX/O=Good/*"'"#).unwrap();
    let posing: DistinguishedName = r"/C=XX\/O=Good\/CN=x".parse().unwrap();
    assert_eq!(file.decides(&name(CA), &posing.spellings()), None);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[\\PC\n\"'#\\\\ ]{0,80}", glue in any::<bool>()) {
        let text = if glue { format!("TO Issuer SELF PERMIT Subject \"{text}\"") } else { text };
        if let Ok(file) = parse_namespaces(text.as_bytes(), &[name(CA)]) {
            let _ = file.decides(&name(CA), &["/C=XX/CN=a".to_owned()]);
        }
        let _ = eacl(&format!("cond_subjects globus '{text}'")).map(|file| file.decides(&name(CA), &["/C=XX/CN=a".to_owned()]));
    }

    #[test]
    fn a_glob_without_stars_takes_exactly_its_text(text in "/C=[A-Z]{2}/CN=[a-zA-Z0-9()\\[\\]{}.+|^$-]{1,12}", other in "/C=[A-Z]{2}/CN=[a-z.]{1,12}") {
        let pattern = Pattern::glob(&text);
        prop_assert!(pattern.matches(&text));
        prop_assert_eq!(pattern.matches(&other), text == other);
    }
}

/// Old CAs hold `BMPString` and Latin-1, and people wrote their policies as OpenSSL's one-line form prints these.
#[test]
fn a_pattern_may_be_written_in_each_spelling_of_a_name() {
    let subject = |tag: u8, value: &[u8]| {
        let pair = [&[0x06, 3, 0x55, 0x04, 3, tag, u8::try_from(value.len()).unwrap()][..], value].concat();
        let wrap = |tag: u8, inner: &[u8]| [&[tag, u8::try_from(inner.len()).unwrap()][..], inner].concat();
        DistinguishedName::from_der(&wrap(0x30, &wrap(0x31, &wrap(0x30, &pair)))).unwrap()
    };
    let utf16: Vec<u8> = "Jörg/x".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let permitted = |subject: &DistinguishedName, pattern: &str| {
        let text = format!("cond_subjects globus '\"{pattern}\"'");
        let statements = format!("TO Issuer \"{CA}\" PERMIT Subject \"{pattern}\"\n");
        let (eacl, namespaces) = (eacl(&text).unwrap(), parse_namespaces(statements.as_bytes(), &[]).unwrap());
        let said = |file: &PolicyFile| file.decides(&name(CA), &subject.spellings()) == Some(true);
        (said(&eacl), said(&namespaces))
    };
    let (bmp, latin1, utf8) = (subject(0x1e, &utf16), subject(0x14, b"J\xf6rg/x"), subject(0x0c, "Jörg/x".as_bytes()));
    let openssl = r"/CN=\x00J\x00\xF6\x00r\x00g\x00\/\x00x";
    for (subject, own) in [(&bmp, openssl), (&latin1, r"/CN=J\xF6rg\/x"), (&utf8, r"/CN=J\xC3\xB6rg\/x")] {
        for pattern in [own, r"/CN=J\xC3\xB6rg\/x", r"/CN=Jörg\/x"] {
            assert_eq!(permitted(subject, pattern), (true, true), "{subject}, {pattern}");
        }
        assert_eq!(permitted(subject, "/CN=Jorg"), (false, false));
        assert!(!permitted(subject, "/CN=Jörg/x").0, "a slash of a value is no RDN");
    }
    assert_eq!(permitted(&utf8, openssl), (false, false), "another name's octets");
    // The octets of these Chinese characters spell an organisation; the name does not.
    let posing = subject(0x1e, b"Fooo");
    assert_eq!(permitted(&posing, "/CN=Fooo"), (false, false));
}
