//! Checks the list itself, also against the list that it replaces.

use std::cmp::Ordering;
use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::super::field::{self, DATE, IDENTIFIER, TEXT, VERSION, fault, value};
use super::super::json::{Node, Object, describe_text};
use super::super::parse::read_endorsers;
use super::super::{ImageList, ListedImage};
use super::{LintRequest, ListError, Member, Report, image, keys};

/// How far a publisher's clock may be ahead of a site's.
const SKEW: SignedDuration = SignedDuration::from_mins(5);
/// A longer lifetime than this is as good as none.
const LONG_LIFE: SignedDuration = SignedDuration::from_hours(24 * 366 * 2);

pub(super) fn check(report: &mut Report, place: &str, object: &Object<'_>, request: &LintRequest<'_>) {
    let list = Member { place, object };
    if place.is_empty() {
        let advice = "put it into {\"hv:imagelist\": {…}}: some readers know that form alone";
        report.warn("top level".to_owned(), "the older flat form, without hv:imagelist", advice);
    }
    for key in ["dc:title", "dc:description", "dc:source", "hv:uri"] {
        report.member(place, fault(object, key, &TEXT));
    }
    report.member(place, fault(object, "dc:identifier", &IDENTIFIER));
    report.member(place, fault(object, "hv:version", &VERSION));
    for key in ["dc:date:created", "dc:date:expires"] {
        report.member(place, fault(object, key, &DATE));
    }
    if !matches!(object.get("ad:vo"), None | Some(Node::Null)) {
        report.member(place, fault(object, "ad:vo", &TEXT));
    }
    check_dates(report, list, request.now);
    check_endorsers(report, list);
    check_uri(report, list);
    image::check_printable(report, list);
    image::check_identifier_form(report, list);
    image::check_version_form(report, list);
    image::check_date_form(report, list, "dc:date:created");
    image::check_date_form(report, list, "dc:date:expires");
    keys::check(report, list, &keys::of_list());
    check_images(report, list, request);
}

fn check_dates(report: &mut Report, list: Member<'_, '_>, now: Timestamp) {
    let created = value(list.object, "dc:date:created", &DATE);
    let expires = value(list.object, "dc:date:expires", &DATE);
    if let Some(created) = created.filter(|created| *created > now + SKEW) {
        let message = format!("expected a time that is not in the future, found {created} (it is {now})");
        report.error(list.path("dc:date:created"), message, "sites refuse it until then: set the time of signing");
    }
    let Some(expires) = expires else { return };
    let path = list.path("dc:date:expires");
    if expires <= now {
        let message = format!("expected a time in the future, found {expires} (it is {now})");
        report.error(path, message, "sites refuse an expired list: set a new expiry and sign again");
    } else if created.is_some_and(|created| expires <= created) {
        report.error(path, "expected a time after dc:date:created, found an earlier one", "set it to some weeks later");
    } else if expires.duration_since(created.unwrap_or(now)) > LONG_LIFE {
        let message = format!("expected an expiry within two years, found {expires}");
        let advice = "a list that never expires is still used after its maintenance has ended: some weeks are usual";
        report.warn(path, message, advice);
    }
}

fn check_endorsers(report: &mut Report, list: Member<'_, '_>) {
    let node = list.object.get("hv:endorser").cloned();
    if matches!(node, Some(Node::Array(_))) {
        let advice = "name one endorser in an object while sites run vmcatcher: it cannot read an array";
        report.warn(list.path("hv:endorser"), "several endorsers in an array", advice);
    }
    match read_endorsers(node).map_err(|error| error.at(list.place)) {
        Err(ListError::Missing { path, expected }) => {
            let message = format!("expected {expected}, found no such key");
            report.error(path, message, keys::advice("hv:endorser"));
        }
        Err(ListError::Field { path, message }) => report.error(path, message, keys::advice("hv:endorser")),
        Err(other) => report.refused(&other),
        Ok(endorsers) => {
            for endorser in endorsers {
                check_name(report, list, "hv:dn", &endorser.subject);
                check_name(report, list, "hv:ca", &endorser.issuer);
            }
        }
    }
}

/// The name must be that of the signing certificate; a text without `=` cannot be one.
fn check_name(report: &mut Report, list: Member<'_, '_>, key: &str, name: &str) {
    if !name.contains('=') {
        let message = format!("expected a name such as /DC=org/DC=example/CN=Signer, found {}", describe_text(name));
        let command = if key == "hv:dn" { "-subject" } else { "-issuer" };
        let advice = format!(
            "sites refuse a list whose hv:endorser does not name its signer (EndorserMismatch): copy the output of \
             `openssl x509 -in CERTIFICATE -noout {command} -nameopt compat`"
        );
        report.error(list.path(&format!("hv:endorser.hv:x509.{key}")), message, advice);
    }
}

fn check_uri(report: &mut Report, list: Member<'_, '_>) {
    let Some(uri) = value(list.object, "hv:uri", &TEXT) else { return };
    let is_url = uri.parse::<super::super::SourceUrl>().is_ok_and(|url| url.is_remote());
    if !is_url {
        let advice = "give the address that sites fetch this list from, without user:password@";
        report.warn(list.path("hv:uri"), "expected an http or https URL, found something else", advice);
    }
}

fn check_images(report: &mut Report, list: Member<'_, '_>, request: &LintRequest<'_>) {
    let path = list.path("hv:images");
    match list.object.get("hv:images") {
        None => report.error(path, "expected an array of images, found no such key", keys::advice("hv:images")),
        Some(Node::Array(nodes)) if nodes.len() > super::super::MAXIMUM_IMAGES => {
            let message = format!("expected at most {} images, found {}", super::super::MAXIMUM_IMAGES, nodes.len());
            report.error(path, message, "split the list");
        }
        Some(Node::Array(nodes)) => {
            if nodes.is_empty() {
                report.note(path.clone(), "no images", "this is how a list is retired: sites take out all that it had");
            }
            for (index, node) in nodes.iter().enumerate() {
                image::check(report, &format!("{path}[{index}]"), node, request.now);
            }
            check_duplicates(report, &path, nodes);
        }
        Some(other) => {
            let message = format!("expected an array of images, found {}", other.describe());
            report.error(path, message, keys::advice("hv:images"));
        }
    }
}

fn check_duplicates(report: &mut Report, path: &str, nodes: &[Node<'_>]) {
    let mut first: std::collections::HashMap<String, usize> = std::collections::HashMap::new();
    for (index, node) in nodes.iter().enumerate() {
        let Node::Object(wrapper) = node else { continue };
        let Some(Node::Object(image)) = wrapper.get("hv:image") else { continue };
        let Some(identifier) = image.get("dc:identifier").and_then(|node| field::text(node).ok()) else { continue };
        if let Some(earlier) = first.get(&identifier) {
            let message = format!("expected each identifier once, found that of image [{earlier}] again");
            let advice = "sites refuse all images of that identifier: give each image its own, for good";
            report.error(format!("{path}[{index}].hv:image.dc:identifier"), message, advice);
        } else {
            first.insert(identifier, index);
        }
    }
}

/// Compares a list with the one that it replaces.
pub(super) fn compare(report: &mut Report, previous: &ImageList, list: &ImageList) {
    let path = |key: &str| format!("hv:imagelist.{key}");
    if list.identifier != previous.identifier {
        let message = format!("expected {} as before, found {}", previous.identifier, list.identifier);
        let advice = "sites know the list by it and refuse another one (IdentifierMismatch): keep it for good";
        report.error(path("dc:identifier"), message, advice);
    }
    let (old, new) = (&previous.version, &list.version);
    match new.compare(old) {
        Ordering::Less => {
            let message = format!("expected a version higher than {old}, found {new}, which is lower");
            let advice = "sites refuse it (VersionRollback); to go back, publish the old images under a higher version";
            report.error(path("hv:version"), message, advice);
        }
        Ordering::Equal if list != previous && list.created <= previous.created => {
            let message =
                format!("expected a version higher than {old}, found {new} again and no later dc:date:created");
            report.error(path("hv:version"), message, "sites refuse it (Replay): raise the version and the date");
        }
        Ordering::Equal if list != previous => {
            let message = format!("expected a version higher than {old}, found {new} again");
            report.warn(
                path("hv:version"),
                message,
                "raise the version with every change, so that people can tell them apart",
            );
        }
        Ordering::Equal | Ordering::Greater => {}
    }
    if new.compare(old).is_gt() && list.created <= previous.created {
        let message = format!("expected a time after {}, found {}", previous.created, list.created);
        report.warn(path("dc:date:created"), message, "set the time of signing");
    }
    compare_images(report, previous, list);
}

fn compare_images(report: &mut Report, previous: &ImageList, list: &ImageList) {
    let before: HashMap<&str, &ListedImage> =
        previous.images.iter().map(|image| (image.identifier.as_str(), image)).collect();
    for image in &list.images {
        let Some(old) = before.get(image.identifier.as_str()) else { continue };
        let path = format!("image {}", image.identifier);
        if image.version.compare(&old.version).is_lt() {
            let message = format!("expected a version of at least {}, found {}", old.version, image.version);
            report.warn(path.clone(), message, "sites show the newest version: raise it");
        }
        if image.digest != old.digest && image.version == old.version {
            let message = format!("another file under version {}, as before", image.version);
            report.warn(path, message, "raise hv:version of the image whenever its file changes");
        }
    }
    let after: std::collections::HashSet<&str> = list.images.iter().map(|image| image.identifier.as_str()).collect();
    for image in previous.images.iter().filter(|image| !after.contains(image.identifier.as_str())) {
        let message = format!("{:?} is no longer listed", image.title);
        report.note(format!("image {}", image.identifier), message, "sites take it out");
    }
}
