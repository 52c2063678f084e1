//! Lists of images, in pages ("List images"). Pure.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::Value;
use url::Url;
use uuid::Uuid;

use crate::openstack::image::{Image, ImageStatus, MemberStatus, Unreadable, Visibility};
use crate::text::one_line;

/// The most pages of a list.
pub(in crate::openstack) const MOST_PAGES: usize = 1000;

/// Which images are listed. Glance leaves out hidden images and community images of other projects, unless the filter
/// asks for them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageFilter {
    /// The id of the owner.
    pub owner: Option<String>,
    /// The name.
    pub name: Option<String>,
    /// Tags, all of which an image has.
    pub tags: BTreeSet<String>,
    /// The status.
    pub status: Option<ImageStatus>,
    /// Who may see them.
    pub visibility: Option<Visibility>,
    /// Only hidden images, or none of them. `None`: none of them.
    pub os_hidden: Option<bool>,
    /// For shared images of others: what the project made of them.
    pub member_status: Option<MemberStatus>,
    /// Properties with their values.
    pub properties: BTreeMap<String, String>,
    /// The images in a page. `None`: 1,000, which is also the most that Glance returns by default.
    pub limit: Option<u32>,
}

/// The result of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The images, ordered by the time of their creation.
    pub images: Vec<Image>,
    /// What was listed, but is not readable.
    pub unreadable: Vec<Unreadable>,
    /// How many calls it took.
    pub calls: usize,
}

impl ImageFilter {
    /// The query of a page. The order does not change while pages are read, and new images come last.
    pub(in crate::openstack) fn query(&self, marker: Option<Uuid>) -> Vec<(String, String)> {
        let mut query: Vec<(String, String)> =
            self.properties.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let mut add = |name: &str, value: String| query.push((name.to_owned(), value));
        let named = [
            ("owner", self.owner.clone()),
            ("name", self.name.clone()),
            ("status", self.status.as_ref().map(|status| status.as_str().to_owned())),
            ("visibility", self.visibility.as_ref().map(|visibility| visibility.as_str().to_owned())),
            ("os_hidden", self.os_hidden.map(|hidden| hidden.to_string())),
            ("member_status", self.member_status.as_ref().map(|status| status.as_str().to_owned())),
            ("marker", marker.map(|marker| marker.to_string())),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                add(name, value);
            }
        }
        for tag in &self.tags {
            add("tag", tag.clone());
        }
        add("sort", "created_at:asc,id:asc".to_owned());
        add("limit", self.limit.unwrap_or(1000).max(1).to_string());
        query
    }
}

/// A list while its pages are read.
#[derive(Debug, Default)]
pub(in crate::openstack) struct Walk {
    listing: Listing,
    seen: HashSet<Uuid>,
    markers: HashSet<Uuid>,
}

impl Walk {
    /// Adds a page, and returns the marker of the next one. Only the marker is taken from `next`, after its address was
    /// checked. So a server cannot lead the token elsewhere, nor the walk in a circle. The error says what was found.
    pub(in crate::openstack) fn add(&mut self, body: &[u8], endpoint: &Url) -> Result<Option<Uuid>, String> {
        let page: Value = serde_json::from_slice(body).map_err(|error| format!("a body that is no JSON: {error}"))?;
        let images = page.get("images").and_then(Value::as_array).ok_or("no list \"images\"")?;
        self.listing.calls += 1;
        for image in images {
            match Image::parse(image) {
                Ok(image) => {
                    if self.seen.insert(image.id) {
                        self.listing.images.push(image);
                    }
                }
                Err(unreadable) => self.listing.unreadable.push(unreadable),
            }
        }
        let next = match page.get("next") {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(next)) => next,
            Some(_) => return Err("\"next\" that is no text".to_owned()),
        };
        let marker = marker(next, endpoint)?;
        if images.is_empty() || !self.markers.insert(marker) {
            return Err(format!("pages in a circle: \"next\" with the marker {marker} again, or after no image"));
        }
        if self.listing.calls >= MOST_PAGES {
            return Err(format!("more than {MOST_PAGES} pages"));
        }
        Ok(Some(marker))
    }

    /// The list, after so many other calls.
    pub(in crate::openstack) fn end(mut self, other_calls: usize) -> Listing {
        self.listing.calls += other_calls;
        self.listing
    }
}

/// The marker in `next`: `/v2/images?limit=2&marker=…`, on the server that was asked, below its path or not.
fn marker(next: &str, endpoint: &Url) -> Result<Uuid, String> {
    let refused = |why: &str| format!("\"next\" {why}: \"{}\"", one_line(next.as_bytes(), 80));
    let url = endpoint.join(next).map_err(|_| refused("that is no address"))?;
    if url.origin() != endpoint.origin() || !url.username().is_empty() || url.password().is_some() {
        return Err(refused("on another server"));
    }
    let own = format!("{}/v2/images", endpoint.path().trim_end_matches('/'));
    if url.path() != "/v2/images" && url.path() != own {
        return Err(refused("of another call"));
    }
    let mut markers = url.query_pairs().filter(|(name, _)| name == "marker").map(|(_, value)| value.parse());
    match (markers.next(), markers.next()) {
        (Some(Ok(marker)), None) => Ok(marker),
        (_, _) => Err(refused("without one marker")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn image(number: u128) -> Value {
        json!({
            "id": Uuid::from_u128(number), "name": null, "status": "active", "visibility": "public", "owner": "a",
            "protected": false, "os_hidden": false, "created_at": "2026-11-29T05:48:35Z",
            "updated_at": "2026-11-29T05:48:35Z"
        })
    }

    fn page(images: &[u128], next: Option<&str>) -> Vec<u8> {
        let images: Vec<Value> = images.iter().copied().map(image).collect();
        json!({"images": images, "next": next}).to_string().into_bytes()
    }

    fn endpoint() -> Url {
        "https://g.example.org/image".parse().unwrap()
    }

    #[test]
    fn pages_are_one_list() {
        let mut walk = Walk::default();
        let next = format!("/v2/images?limit=2&sort=created_at%3Adesc&marker={}", Uuid::from_u128(2));
        assert_eq!(walk.add(&page(&[1, 2], Some(&next)), &endpoint()), Ok(Some(Uuid::from_u128(2))));
        let below = format!("https://g.example.org/image/v2/images?marker={}", Uuid::from_u128(3));
        assert_eq!(walk.add(&page(&[2, 3], Some(&below)), &endpoint()), Ok(Some(Uuid::from_u128(3))));
        assert_eq!(walk.add(br#"{"images": [{"id": 1}]}"#, &endpoint()), Ok(None));
        let listing = walk.end(1);
        assert_eq!(listing.images.iter().map(|image| image.id.as_u128()).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!((listing.unreadable.len(), listing.calls), (1, 4));
    }

    #[test]
    fn next_leads_neither_elsewhere_nor_in_a_circle() {
        let one = Uuid::from_u128(1);
        let cases = [
            (format!("https://evil.example.org/v2/images?marker={one}"), "on another server"),
            (format!("//evil.example.org/v2/images?marker={one}"), "on another server"),
            (format!("http://g.example.org/v2/images?marker={one}"), "on another server"),
            (format!("https://g.example.org:444/v2/images?marker={one}"), "on another server"),
            (format!("https://a:b@g.example.org/v2/images?marker={one}"), "on another server"),
            (format!("/v3/users?marker={one}"), "of another call"),
            (format!("/v2/images/../users?marker={one}"), "of another call"),
            ("/v2/images?marker=1".to_owned(), "without one marker"),
            ("/v2/images".to_owned(), "without one marker"),
            (format!("/v2/images?marker={one}&marker={one}"), "without one marker"),
            ("http://[".to_owned(), "that is no address"),
        ];
        for (next, expected) in cases {
            let found = Walk::default().add(&page(&[1], Some(&next)), &endpoint()).unwrap_err();
            assert!(found.contains(expected), "{next}: {found}");
        }
        let mut walk = Walk::default();
        let next = format!("/v2/images?marker={one}");
        walk.add(&page(&[1], Some(&next)), &endpoint()).unwrap();
        assert!(walk.add(&page(&[2], Some(&next)), &endpoint()).unwrap_err().contains("in a circle"));
        assert!(Walk::default().add(&page(&[], Some(&next)), &endpoint()).unwrap_err().contains("in a circle"));
        let mut walk = Walk::default();
        let end = (1..).find_map(|number| {
            let next = format!("/v2/images?marker={}", Uuid::from_u128(number));
            walk.add(&page(&[number], Some(&next)), &endpoint()).err()
        });
        assert_eq!(end.unwrap(), "more than 1000 pages");
    }

    #[test]
    fn a_query_has_what_the_filter_asks_for() {
        let filter = ImageFilter {
            owner: Some("5320".to_owned()),
            tags: ["a".to_owned(), "b c".to_owned()].into(),
            status: Some(ImageStatus::Active),
            visibility: Some(Visibility::Shared),
            os_hidden: Some(true),
            member_status: Some(MemberStatus::Pending),
            properties: [("vmcatcher_event_dc_identifier".to_owned(), "x".to_owned())].into(),
            limit: Some(2),
            ..ImageFilter::default()
        };
        let shown = filter
            .query(Some(Uuid::from_u128(1)))
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>();
        let expected = "vmcatcher_event_dc_identifier=x owner=5320 status=active visibility=shared os_hidden=true \
                        member_status=pending marker=00000000-0000-0000-0000-000000000001 tag=a tag=b c \
                        sort=created_at:asc,id:asc limit=2";
        assert_eq!(shown.join(" "), expected);
        let all = ImageFilter::default().query(None);
        assert_eq!(all.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["sort", "limit"]);
    }

    proptest! {
        #[test]
        fn nothing_panics(body in prop::collection::vec(any::<u8>(), 0..80), next in "\\PC{0,40}") {
            let mut walk = Walk::default();
            let _ = walk.add(&body, &endpoint());
            prop_assert!(walk.add(&page(&[1], Some(&next)), &endpoint()).is_err() || next.contains("marker"));
        }
    }
}
