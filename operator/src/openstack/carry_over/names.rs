//! Names of images: of the first version, and of a retired one. Pure.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::cloud::Wanted;
use crate::imagelist::ImageId;
use crate::openstack::settings::NameFrom;
use crate::text::printable;

/// The most characters of a name in Glance.
pub const LONGEST_NAME: usize = 255;

/// The name of a first registration.
pub(super) fn first_name(from: NameFrom, identifier: &ImageId, wanted: &Wanted) -> String {
    let title = wanted.event.title.as_deref().map(str::trim).filter(|title| !title.is_empty());
    match (from, title) {
        (NameFrom::Title, Some(title)) => cut(&printable(title), LONGEST_NAME),
        (NameFrom::Title, None) | (NameFrom::Identifier, _) => identifier.as_str().to_owned(),
    }
}

/// `<name>_2026-11-22_01-34-05_+0000-UTC`, shortened in the name if it is too long.
pub fn retired_name(name: &str, now: Timestamp) -> String {
    let time = now.to_zoned(TimeZone::UTC);
    let suffix = format!("_{}_+0000-UTC", time.strftime("%Y-%m-%d_%H-%M-%S"));
    format!("{}{suffix}", cut(name, LONGEST_NAME.saturating_sub(suffix.chars().count())))
}

fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::EventAttributes;
    use crate::imagelist::Sha512Digest;

    #[test]
    fn every_name_fits() {
        let now: Timestamp = "2026-11-22T01:34:05Z".parse().unwrap();
        assert_eq!(retired_name("EGI Ubuntu", now), "EGI Ubuntu_2026-11-22_01-34-05_+0000-UTC");
        for length in [0, 225, 226, 255, 300] {
            let name = retired_name(&"ü".repeat(length), now);
            assert!(
                name.chars().count() <= LONGEST_NAME && name.ends_with("_2026-11-22_01-34-05_+0000-UTC"),
                "{length}"
            );
        }
    }

    #[test]
    fn the_first_name_is_the_title_or_the_identifier() {
        let identifier: ImageId = "a-1".parse().unwrap();
        let named = |from: NameFrom, title: Option<&str>| {
            let event = EventAttributes { title: title.map(str::to_owned), ..EventAttributes::default() };
            let wanted = Wanted { sha512: Sha512Digest::from_bytes([1; 64]), event, source: None };
            first_name(from, &identifier, &wanted)
        };
        assert_eq!(named(NameFrom::Title, Some(" EGI Ubuntu\n")), "EGI Ubuntu");
        assert_eq!(named(NameFrom::Title, Some("a\nb")), "a\\nb");
        assert_eq!(named(NameFrom::Title, Some(&"t".repeat(300))).len(), 255);
        assert_eq!(named(NameFrom::Title, Some("  ")), "a-1");
        assert_eq!(named(NameFrom::Title, None), "a-1");
        assert_eq!(named(NameFrom::Identifier, Some("t")), "a-1");
    }
}
