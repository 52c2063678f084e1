//! Checks one image. Some checks are also used for the list.

use jiff::Timestamp;

use super::super::field::{self, DATE, DIGEST, IDENTIFIER, IMAGE_URL, SIZE, TEXT, VERSION, fault, value};
use super::super::json::{Node, describe_text};
use super::{Member, Report, keys};
use crate::text::is_printable;

/// SHA-512 of an empty file (FIPS 180-4).
const EMPTY_SHA512: &str = "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce\
                            47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e";
/// OpenNebula names have up to 128 bytes; the suffix of a replaced version needs 32 of them.
const OPENNEBULA_NAME: usize = 96;

pub(super) fn check(report: &mut Report, path: &str, node: &Node<'_>, now: Timestamp) {
    let (wrapper, inner) = match node {
        Node::Object(wrapper) => (wrapper, wrapper.get("hv:image")),
        other => {
            let message = format!("expected an object with hv:image, found {}", other.describe());
            return report.error(path.to_owned(), message, keys::advice("hv:image"));
        }
    };
    let Some(Node::Object(object)) = inner else {
        let found = inner.unwrap_or(node).describe();
        return report.error(
            path.to_owned(),
            format!("expected hv:image, an object, found {found}"),
            keys::advice("hv:image"),
        );
    };
    if let Some((key, _)) = wrapper.members().find(|(key, _)| object.get(key).is_some()) {
        let message = format!("expected {key} inside hv:image only, found it beside too");
        report.error(path.to_owned(), message, "keep the one inside hv:image");
    }
    let place = format!("{path}.hv:image.");
    let image = Member { place: &place, object };
    check_members(report, image);
    check_identifier_form(report, image);
    check_version_form(report, image);
    check_size(report, image);
    check_digest(report, image);
    check_url(report, image);
    check_selectors(report, image);
    check_expiry(report, image, now);
    check_printable(report, image);
    check_ascii(report, image);
    keys::check(report, image, &keys::OF_IMAGE);
}

fn check_members(report: &mut Report, image: Member<'_, '_>) {
    let Member { place, object } = image;
    report.member(place, fault(object, "dc:identifier", &IDENTIFIER));
    report.member(place, fault(object, "hv:version", &VERSION));
    for key in ["dc:title", "dc:description", "sl:os", "sl:osversion", "sl:arch", "hv:hypervisor", "sl:comments"] {
        report.member(place, fault(object, key, &TEXT));
    }
    report.member(place, fault(object, "hv:size", &SIZE));
    report.member(place, fault(object, "sl:checksum:sha512", &DIGEST));
    report.member(place, fault(object, "hv:uri", &IMAGE_URL));
    let given = |key: &str| !matches!(object.get(key), None | Some(Node::Null));
    for key in ["hv:format", "ad:mpuri"].into_iter().filter(|key| given(key)) {
        report.member(place, fault(object, key, &TEXT));
    }
    if given("dc:date:expires") {
        report.member(place, fault(object, "dc:date:expires", &DATE));
    }
}

/// Also for the list: an identifier should be a UUID in lower case, and short enough for a name in a cloud.
pub(super) fn check_identifier_form(report: &mut Report, member: Member<'_, '_>) {
    let Some(identifier) = value(member.object, "dc:identifier", &IDENTIFIER) else { return };
    let (path, text) = (member.path("dc:identifier"), identifier.as_str());
    if text.len() > OPENNEBULA_NAME {
        let message = format!("expected at most {OPENNEBULA_NAME} characters, found {}", text.len());
        report.warn(path, message, "sites with OpenNebula cannot name an image so: use a UUID");
    } else if uuid::Uuid::try_parse(text).is_err() || text.len() != 36 {
        let message = format!("expected a UUID, found {text:?}");
        report.warn(path, message, "`uuidgen` makes one; keep it over all versions, for sites know the image by it");
    } else if text.contains(|c: char| c.is_ascii_uppercase()) {
        report.note(path, "a UUID with capital letters", "lower case is what RFC 9562 asks writers for");
    }
}

/// Also for the list: a version should be text.
pub(super) fn check_version_form(report: &mut Report, member: Member<'_, '_>) {
    if let Some(Node::Number(number)) = member.object.get("hv:version") {
        let message = format!("expected text, found the number {number}");
        let advice = "write it in quotes: vmcatcher stops at a number, and as numbers 1.1 and 1.10 are the same";
        report.warn(member.path("hv:version"), message, advice);
    }
}

/// Also for the list: a date should have the only form that vmcatcher reads.
pub(super) fn check_date_form(report: &mut Report, member: Member<'_, '_>, key: &str) {
    let (Some(date), Some(text)) = (value(member.object, key, &DATE), value(member.object, key, &TEXT)) else { return };
    let plain = text.len() == 20 && text.as_bytes()[10] == b'T' && text.ends_with('Z');
    if !plain {
        let seconds = Timestamp::from_second(date.as_second()).unwrap_or(date);
        let message = format!("expected a date such as {seconds}, found {}", describe_text(&text));
        report.warn(member.path(key), message, "write whole seconds in UTC with a Z: vmcatcher reads no other form");
    }
}

fn check_size(report: &mut Report, image: Member<'_, '_>) {
    if let Some(Node::Text(text)) = image.object.get("hv:size")
        && value(image.object, "hv:size", &SIZE).is_some()
    {
        report.note(
            image.path("hv:size"),
            format!("a number as text, {}", describe_text(text)),
            "write it without quotes",
        );
    }
}

fn check_digest(report: &mut Report, image: Member<'_, '_>) {
    let path = || image.path("sl:checksum:sha512");
    let Some(digest) = value(image.object, "sl:checksum:sha512", &DIGEST) else { return };
    let hexadecimal = digest.to_string();
    if hexadecimal == EMPTY_SHA512 {
        report.error(path(), "expected the file's sha512, found that of an empty file", "run `sha512sum FILE` again");
    } else if hexadecimal.bytes().all(|c| Some(c) == hexadecimal.bytes().next()) {
        let message = "expected the file's sha512, found one digit 128 times";
        report.error(path(), message, "replace the placeholder by the output of `sha512sum FILE`");
    } else if value(image.object, "sl:checksum:sha512", &TEXT).is_some_and(|text| text != hexadecimal) {
        report.warn(
            path(),
            "expected lower case, found capital letters",
            "vmcatcher compares the text: write lower case",
        );
    }
}

fn check_url(report: &mut Report, image: Member<'_, '_>) {
    let path = || image.path("hv:uri");
    if let Some(url) = value(image.object, "hv:uri", &IMAGE_URL) {
        if url.url().scheme() == "http" {
            let advice = "the checksum keeps the bytes safe; https also hides them, and tokens, from the way";
            report.note(path(), "http, without TLS", advice);
        }
        let name = url.url().path_segments().and_then(|mut segments| segments.next_back()).unwrap_or_default();
        if !name.contains('.') {
            let message = format!("expected a file name with an extension, found {}", describe_text(name));
            report.warn(path(), message, "some sites' scripts tell the format by .qcow2, .ova, …");
        }
    }
    if image.object.get("hv:format").is_none() {
        let advice = "say QCOW2, RAW, VMDK, OVA, …: handlers of vmcatcher skip an image without it";
        report.warn(image.path("hv:format"), "expected the file's format, found no such key", advice);
    }
}

/// Fields by which sites select images: unusual spellings are not matched.
fn check_selectors(report: &mut Report, image: Member<'_, '_>) {
    let text = |key| value(image.object, key, &TEXT);
    let usual = [("amd64", "x86_64"), ("x86-64", "x86_64"), ("x64", "x86_64"), ("arm64", "aarch64")];
    if let Some(arch) = text("sl:arch")
        && let Some((_, expected)) = usual.iter().find(|(spelling, _)| arch.eq_ignore_ascii_case(spelling))
    {
        let message = format!("expected {expected}, found {arch:?}");
        report.warn(image.path("sl:arch"), message, "sites select images by the usual spelling");
    }
    for key in ["dc:title", "sl:os", "sl:osversion", "sl:arch", "hv:hypervisor"] {
        if text(key).is_some_and(|text| text.trim().is_empty()) {
            report.warn(image.path(key), "expected some text, found none", keys::advice(key));
        }
    }
}

fn check_expiry(report: &mut Report, image: Member<'_, '_>, now: Timestamp) {
    check_date_form(report, image, "dc:date:expires");
    if let Some(expires) = value(image.object, "dc:date:expires", &DATE).filter(|expires| *expires <= now) {
        let message = format!("expected a time in the future, found {expires} (it is {now})");
        report.warn(image.path("dc:date:expires"), message, "sites take the image out: leave it off the list");
    }
}

/// Finds texts of a list or an image with invisible characters.
pub(super) fn check_printable(report: &mut Report, member: Member<'_, '_>) {
    for (key, node) in member.object.members() {
        if field::text(node).is_ok_and(|text| has_unseen(&text)) {
            let message = "expected text without control and format characters, found some";
            report.warn(format!("{}{key:.64}", member.place), message, "take them out: sites show them as \\u{…}");
        }
    }
}

fn has_unseen(text: &str) -> bool {
    text.contains(|c| !is_printable(c) && c != '\n' && c != '\t')
}

fn check_ascii(report: &mut Report, image: Member<'_, '_>) {
    for (key, node) in image.object.members() {
        let Ok(text) = field::text(node) else { continue };
        if !text.is_ascii() && !has_unseen(&text) && key != "hv:uri" {
            let advice = "fine here; vmcatcher itself stops at it while it caches the image";
            report.note(format!("{}{key:.64}", image.place), "letters beyond ASCII", advice);
        }
    }
}
