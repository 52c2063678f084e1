use proptest::prelude::*;

use super::*;

fn repository() -> Repository {
    "registry.example.org/a".parse().unwrap()
}

fn tagged(tag: &str, manifest: &[u8], candidates: Vec<Candidate>) -> TaggedManifest {
    let digest = Sha256Digest::of(manifest);
    TaggedManifest { tag: tag.parse().ok(), digest, index: None, manifest: manifest.to_vec(), candidates }
}

fn candidate(bytes: &[u8], signature: Option<&str>) -> Candidate {
    let form = signature.map_or(CandidateForm::Bundle, |text| CandidateForm::SimpleSigning {
        signature: (!text.is_empty()).then(|| text.to_owned()),
    });
    Candidate { form, bytes: bytes.to_vec(), digest: Sha256Digest::of(bytes), manifest: Sha256Digest::of(b"") }
}

#[test]
fn the_same_content_is_the_same_message() {
    let (one, two) = (candidate(b"one", None), candidate(b"two", Some("c2ln")));
    let first = tagged("22.04", b"{}", vec![one.clone(), two.clone(), one.clone()]);
    let second = tagged("24.04", b"[]", Vec::new());
    let made = RepositoryMessage::new(repository(), false, vec![second.clone(), first]).unwrap();
    let again = tagged("22.04", b"{}", vec![two, one]);
    let other = RepositoryMessage::new(repository(), false, vec![again, second]).unwrap();
    assert_eq!(made.to_bytes(), other.to_bytes());
    assert_eq!(RepositoryMessage::read(&made.to_bytes()), Ok(made));
}

#[test]
fn a_message_is_read_strictly() {
    let made = RepositoryMessage::new(repository(), true, vec![tagged("a", b"{}", Vec::new())]).unwrap();
    let text = String::from_utf8(made.to_bytes()).unwrap();
    let more = "{\"tag\":\"a\",\"digest\":\"sha256:0000000000000000000000000000000000000000000000000000000000000000\",\
                \"index\":null,\"manifest\":\"\",\"candidates\":[]}";
    for (from, to, expected) in [
        ("/v1", "/v2", "unknown variant"),
        ("\"insecure\"", "\"more\":1,\"insecure\"", "unknown field"),
        ("\"tags\":[", &format!("\"tags\":[{more},"), "each tag once"),
        ("\"manifest\":\"e30=\"", "\"manifest\":\"%\"", "nvalid"),
        ("registry.example.org/a", "registry.example.org/A", "expected host"),
        ("\"tag\":\"a\"", "\"tag\":\"a\",\"tag\":\"a\"", "duplicate field"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        let error = RepositoryMessage::read(changed.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn everything_is_bounded() {
    let many = (0..=MAXIMUM_TAGS).map(|index| tagged(&format!("t{index:03}"), b"{}", Vec::new())).collect();
    let large = vec![tagged("a", &vec![b' '; MAXIMUM_MANIFEST + 1], Vec::new())];
    let candidates = (0..=MAXIMUM_CANDIDATES).map(|index| candidate(index.to_string().as_bytes(), None)).collect();
    let payload = vec![tagged("a", b"{}", vec![candidate(&vec![b' '; MAXIMUM_PAYLOAD + 1], None)])];
    for tags in [many, large, vec![tagged("a", b"{}", candidates)], payload] {
        assert!(matches!(RepositoryMessage::new(repository(), false, tags), Err(MessageError::TooMany { .. })));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = RepositoryMessage::read(&bytes);
        let _ = super::super::Manifest::read(&bytes);
        let _ = super::super::bundles(&bytes);
    }

    #[test]
    fn what_is_written_is_read_back(
        manifests in prop::collection::btree_map("[a-z0-9_][a-z0-9._-]{0,20}", prop::collection::vec(any::<u8>(), 0..50), 0..8),
        payload in prop::collection::vec(any::<u8>(), 0..50), signature in prop::option::of("[ -~]{0,20}"),
    ) {
        let tags = manifests.iter().map(|(tag, bytes)| tagged(tag, bytes, vec![candidate(&payload, signature.as_deref())]));
        let message = RepositoryMessage::new(repository(), false, tags.collect()).unwrap();
        prop_assert_eq!(RepositoryMessage::read(&message.to_bytes()), Ok(message));
    }
}
