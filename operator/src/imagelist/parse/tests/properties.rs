use super::*;

proptest! {
    #[test]
    fn a_rendered_list_reads_as_it_was(list in any_list()) {
        prop_assert_eq!(ImageList::parse(&serde_json::to_vec_pretty(&list.to_json()).unwrap()).unwrap(), list);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _refused_or_read = ImageList::parse(&bytes);
    }

    /// One byte changed, or the tail cut off: read or refused, and every image accounted for.
    #[test]
    fn no_damage_makes_it_panic_or_lose_an_image(place in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut bytes = list().to_string().into_bytes();
        let place = place.index(bytes.len());
        if cut { bytes.truncate(place) } else { bytes[place] = byte }
        if let Ok(read) = ImageList::parse(&bytes) {
            prop_assert_eq!(read.images.len() + read.refused.len(), 1);
        }
    }
}
