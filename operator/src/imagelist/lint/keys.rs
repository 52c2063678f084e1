//! The keys of the format, keys that publishers use in practice, and similar misspelt keys.

use super::{Member, Report};
use crate::imagelist::parse::LIST_KEYS;

/// Known keys of a list that have no field in the model.
const MORE_OF_LIST: [&str; 3] = ["ad:swid", "ad:num_of_images", "ad:appid"];

/// All known keys of a list.
pub(super) fn of_list() -> Vec<&'static str> {
    [&LIST_KEYS[..], &MORE_OF_LIST].concat()
}

/// All known keys of an image.
pub(super) const OF_IMAGE: [&str; 23] = [
    "dc:identifier",
    "hv:version",
    "dc:title",
    "dc:description",
    "hv:size",
    "sl:checksum:sha512",
    "hv:uri",
    "sl:os",
    "sl:osversion",
    "sl:osname",
    "sl:arch",
    "hv:hypervisor",
    "sl:comments",
    "hv:format",
    "ad:mpuri",
    "ad:base_mpuri",
    "dc:date:expires",
    "hv:ram_minimum",
    "hv:core_minimum",
    "ad:ram_recommended",
    "ad:core_recommended",
    "ad:group",
    "ad:appid",
];

/// Warns of an unknown key that is similar to a known one. Such a key is kept, but not used.
pub(super) fn check(report: &mut Report, member: Member<'_, '_>, known: &[&str]) {
    for (key, _) in member.object.members().filter(|(key, _)| key.len() <= 64 && !known.contains(key)) {
        if let Some(meant) = known.iter().find(|meant| is_near(key, meant)) {
            let message = format!("expected {meant}, found {key:?}");
            report.warn(member.path(&key.escape_debug().to_string()), message, "an unknown key: correct its spelling");
        }
    }
}

/// Whether a key differs only in case, by up to two letters, or by the missing prefix.
fn is_near(key: &str, meant: &str) -> bool {
    let name = meant.split_once(':').map_or(meant, |(_, name)| name);
    let nearly = || key.len().abs_diff(meant.len()) <= 2 && strsim::osa_distance(key, meant) <= 2;
    key.eq_ignore_ascii_case(meant) || key.eq_ignore_ascii_case(name) || nearly()
}

/// The advice for a key that is missing or not valid.
pub(super) fn advice(key: &str) -> &'static str {
    match key {
        "dc:identifier" => "make one with `uuidgen` and keep it over all versions",
        "dc:date:created" => "write the time of signing: `date -u +%FT%TZ`",
        "dc:date:expires" => "write when this list expires, some weeks ahead: `date -u -d '4 weeks' +%FT%TZ`",
        "hv:version" => "write it as text, and raise it with every change: \"1.0\", \"1.1\", …",
        "hv:endorser" => {
            "write {\"hv:x509\": {\"hv:dn\": …, \"hv:ca\": …, \"hv:email\": …, \"dc:creator\": …}} of the signer"
        }
        "hv:images" => "write an array of {\"hv:image\": {…}}; an empty one retires the list",
        "hv:image" => "wrap each image: {\"hv:image\": {…}}",
        "hv:uri" => "write the http or https address, without user:password@",
        "hv:size" => "write the file's size in bytes: `stat -c %s FILE`",
        "sl:checksum:sha512" => "write the output of `sha512sum FILE`",
        "hv:hypervisor" => "write what it runs on, such as \"KVM\" or \"QEMU,KVM\"",
        "sl:arch" => "write x86_64, aarch64, …",
        "sl:os" => "write Linux, Windows, …",
        "sl:osversion" => "write the release, such as \"AlmaLinux 9\"",
        "dc:title" => "write a short title: people find the image by it",
        _ => "every list and every image must have this key; it may be an empty text",
    }
}
