//! `list show`: prints a list in several formats.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::ValueEnum;
use jiff::Timestamp;

use super::list_input::{self, ListInput, refused_document, refused_line};
use super::list_source::Access;
use super::list_subscription::{self, Asked};
use super::table::render;
use super::{print, print_bytes, print_json};
use crate::api::ObjectKey;
use crate::cache::{SafeName, Volume};
use crate::imagelist::{ImageList, ListedImage};
use crate::size::{Count, Size};
use crate::text::printable;
use crate::trust::AlgorithmPolicy;

/// Shows a list: from a file, from a server, of the source of a subscription, or the last accepted list of a subscription.
/// Signatures are not verified: see `list verify`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A file (- is standard input), an http(s) URL, or with --volume the name of a subscription.
    #[arg(value_name = "FILE|URL|NAME", required_unless_present = "subscription")]
    list: Option<String>,
    #[command(flatten)]
    access: Access,
    /// Instead of FILE|URL: the ImageListSubscription in the folder of manifests. Its source, of any kind, is asked as the
    /// operator does it, with its Secrets.
    #[arg(
        long,
        value_name = "[NAMESPACE/]NAME",
        requires = "manifests",
        conflicts_with_all = [
            "list", "token_file", "user", "password_file", "allow_plain_http", "secret", "volume", "namespace",
        ]
    )]
    subscription: Option<String>,
    /// With --subscription: the trust directory, for a server of `tls.trust: Grid`.
    #[arg(long, value_name = "DIR", default_value = "/etc/grid-security/certificates", requires = "subscription")]
    trust: PathBuf,
    /// Format of the output.
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// The volume that holds the accepted lists. The list of a checksum file or a mirror also needs the manifest of its
    /// subscription: that in the folder of manifests, or the one that a run without a cluster keeps on the volume.
    #[arg(long, value_name = "DIR")]
    volume: Option<PathBuf>,
    /// Namespace of the subscription.
    #[arg(short, long, default_value = "default")]
    namespace: String,
}

/// Formats of a list.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// A table of the images, and the refused images with their reasons.
    Table,
    /// `key=value` lines as vmcatcher printed them, a blank line between images. Characters that are not printable are
    /// escaped.
    Lines,
    /// The parsed list, and the refused images in `refused`.
    Json,
    /// The signed text, byte for byte: of a checksum file or a mirror its files one after the other, of a repository what was
    /// fetched of it. A text with control characters can only go to a file or a pipe.
    Message,
    /// The signed message, byte for byte, as the volume keeps it. A message with control characters can only go to a file or a
    /// pipe.
    Smime,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let input = find(args)?;
    match args.format {
        Format::Smime if input.is_signed() || input.is_of_repository() => print_bytes(&input.bytes)?,
        Format::Smime => bail!("{}: expected a signed message, found the text of a list alone", input.name()),
        Format::Message => print_bytes(&input.into_signed_text()?)?,
        Format::Json => print_json(&document(&input.into_list()?))?,
        Format::Lines => print(&lines(&input.into_list()?, Timestamp::now()))?,
        Format::Table => print(&table(&input.into_list()?))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads what the source of a subscription has, the last accepted list of one if a volume is given, or a file or a URL.
fn find(args: &Args) -> anyhow::Result<ListInput> {
    if let Some(name) = &args.subscription {
        return published(args, name);
    }
    let list = args.list.as_deref().context("expected a list, found none")?;
    match &args.volume {
        Some(volume) => kept(args, list, volume),
        None => args.access.read(list),
    }
}

/// What the source of a subscription has now.
fn published(args: &Args, name: &str) -> anyhow::Result<ListInput> {
    let asked = Asked {
        name,
        manifests: args.access.manifests().context("expected --manifests, found none")?,
        trust: &args.trust,
        // No signature is verified.
        algorithms: AlgorithmPolicy::default(),
        list_limit: args.access.list_limit(),
    };
    let published = list_subscription::ask(&asked)?.published;
    let (name, format) = (published.address().to_string(), published.format().clone());
    Ok(ListInput::of(name, published.into_message()).with_format(format))
}

/// The last accepted list of a subscription.
fn kept(args: &Args, subscription: &str, root: &Path) -> anyhow::Result<ListInput> {
    let key = ObjectKey::new(args.namespace.clone(), subscription);
    let (namespace, name): (SafeName, SafeName) = (key.namespace.parse()?, key.name.parse()?);
    let kept = Volume::read_only(root)?.list_versions(&namespace, &name)?;
    let last = kept.first().with_context(|| {
        let hint = list_subscription::hint(&key, args.access.manifests(), root);
        format!("expected an accepted list of {key} on {}, found none yet{hint}", root.display())
    })?;
    let input = list_input::read(&last.path)?;
    let needs_rule = match args.format {
        Format::Table | Format::Lines | Format::Json => input.is_of_files(),
        Format::Message | Format::Smime => false,
    };
    if !needs_rule {
        return Ok(input);
    }
    Ok(input.with_format(list_subscription::known_format(&key, args.access.manifests(), root)?))
}

fn document(list: &ImageList) -> serde_json::Value {
    let mut document = list.to_json();
    document["refused"] = list.refused.iter().map(refused_document).collect();
    document
}

/// One block for the list and one for each image, with the keys of `vmcatcher_subscribe -i` and `vmcatcher_image -i`.
fn lines(list: &ImageList, now: Timestamp) -> String {
    let mut shown = String::new();
    let mut line = |key: &str, value: &str| writeln!(shown, "{key}={}", value_of_a_line(value));
    let _ = line("imagelist.dc:identifier", list.identifier.as_str());
    let _ = line("imagelist.dc:title", &list.title);
    let _ = line("imagelist.dc:description", &list.description);
    let _ = line("imagelist.dc:source", &list.source);
    let _ = line("imagelist.hv:version", list.version.as_str());
    let _ = line("imagelist.hv:uri", &list.uri);
    let _ = line("imagelist.ad:vo", list.vo.as_deref().unwrap_or_default());
    let _ = line("imagelist.dc:date:created", &list.created.to_string());
    let _ = line("imagelist.dc:date:expires", &list.expires.to_string());
    let _ = line("imagelist.expired", if list.expires <= now { "True" } else { "False" });
    for endorser in &list.endorsers {
        let _ = line("endorser:hv:subject", &endorser.subject);
        let _ = line("endorser:hv:issuer", &endorser.issuer);
    }
    for image in &list.images {
        shown.push('\n');
        image_lines(&mut shown, image);
    }
    for refused in &list.refused {
        let _ = write!(shown, "\nrefused.dc:identifier={}\n", value_of_a_line(&refused.identifier));
        let _ = writeln!(shown, "refused.reason={}", refused.reason.as_str());
        let _ = writeln!(shown, "refused.message={}", value_of_a_line(&refused.message));
    }
    shown
}

/// A text as the value of a line. The backslash is escaped too, so that programs can reverse the escapes.
fn value_of_a_line(text: &str) -> String {
    printable(&text.replace('\\', "\\\\")).into_owned()
}

fn image_lines(shown: &mut String, image: &ListedImage) {
    let members = [
        ("dc:identifier", image.identifier.to_string()),
        ("dc:title", image.title.clone()),
        ("dc:description", image.description.clone()),
        ("hv:version", image.version.to_string()),
        ("hv:size", image.size().map(|size| size.to_string()).unwrap_or_default()),
        ("hv:uri", image.uri.to_string()),
        ("hv:hypervisor", image.hypervisor.clone()),
        ("hv:format", image.format.clone().unwrap_or_default()),
        ("sl:arch", image.arch.clone()),
        ("sl:checksum:sha512", image.sha512().map(|digest| digest.to_string()).unwrap_or_default()),
        ("sl:comments", image.comments.clone()),
        ("sl:os", image.os.clone()),
        ("sl:osversion", image.os_version.clone()),
        ("ad:mpuri", image.mpuri.clone().unwrap_or_default()),
        ("dc:date:expires", image.expires.map(|date| date.to_string()).unwrap_or_default()),
    ];
    for (key, value) in members {
        let _ = writeln!(shown, "image.{key}={}", value_of_a_line(&value));
    }
}

fn table(list: &ImageList) -> String {
    let mut shown = format!("{}, version {}\n", printable(&list.title), printable(list.version.as_str()));
    let _ = writeln!(shown, "identifier  {}", list.identifier);
    let _ = writeln!(shown, "created     {}", list.created);
    let _ = writeln!(shown, "expires     {}", list.expires);
    if let Some(vo) = &list.vo {
        let _ = writeln!(shown, "VO          {}", printable(vo));
    }
    for endorser in &list.endorsers {
        let _ = writeln!(shown, "endorser    {} (says the list)", printable(&endorser.subject));
    }
    let row = |image: &ListedImage| {
        vec![
            image.identifier.to_string(),
            image.version.to_string(),
            image.title.clone(),
            format!("{} {}", image.os, image.os_version),
            image.arch.clone(),
            image.hypervisor.clone(),
            image.format.clone().unwrap_or_else(|| "-".to_owned()),
            image.size().map_or_else(|| "-".to_owned(), |size| Size(size).to_string()),
        ]
    };
    let head = ["identifier", "version", "title", "os", "arch", "hypervisor", "format", "size"];
    let _ = write!(shown, "\n{}", render(head.into_iter(), list.images.iter().map(row).collect()));
    for refused in &list.refused {
        let _ = writeln!(shown, "{}", refused_line(refused));
    }
    let _ = writeln!(shown, "{}, {} refused", Count(list.images.len(), "image"), list.refused.len());
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// One good image whose title holds a line of its own, and one bad image.
    fn list() -> ImageList {
        let image = json!({
            "dc:identifier": "image-1", "hv:version": "1", "dc:title": "t\nimage.hv:uri=http://evil/",
            "dc:description": "", "hv:size": 7, "sl:checksum:sha512": "ab".repeat(64), "sl:os": "Linux",
            "hv:uri": "https://example.org/a.qcow2?token=s3cret", "sl:osversion": "9", "sl:arch": "x86_64",
            "hv:hypervisor": "KVM", "sl:comments": "",
        });
        let document = json!({"hv:imagelist": {
            "dc:date:created": "2026-11-01T00:00:00Z", "dc:date:expires": "2026-12-01T00:00:00Z",
            "dc:identifier": "list-1", "dc:title": "A list", "dc:description": "", "dc:source": "", "hv:version": "1.0",
            "hv:uri": "", "hv:images": [{"hv:image": image}, {"hv:image": {"dc:identifier": "image-2"}}],
            "hv:endorser": {"hv:x509": {"hv:dn": "/CN=a", "hv:ca": "/CN=ca", "hv:email": "", "dc:creator": ""}},
        }});
        ImageList::parse(document.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn lines_have_the_known_keys_and_nothing_forges_one() {
        let shown = lines(&list(), "2026-12-01T00:00:00Z".parse().unwrap());
        for line in [
            "imagelist.dc:identifier=list-1",
            "imagelist.expired=True",
            "endorser:hv:subject=/CN=a",
            "image.dc:title=t\\nimage.hv:uri=http://evil/",
            "image.sl:arch=x86_64",
            "image.hv:uri=https://example.org/a.qcow2?…",
            "refused.dc:identifier=image-2",
            "refused.reason=ImageMalformed",
        ] {
            assert_eq!(shown.lines().filter(|shown| *shown == line).count(), 1, "{line} in\n{shown}");
        }
        assert!(shown.lines().all(|line| line.is_empty() || line.contains('=')), "{shown}");
    }

    #[test]
    fn the_table_tells_each_image_and_each_refusal() {
        let shown = table(&list());
        assert!(shown.contains("\nimage-1 ") && shown.contains("A list, version 1.0\n"), "{shown}");
        assert!(shown.contains("refused: image-2: ImageMalformed: sl:checksum:sha512: expected a sha512"), "{shown}");
        assert!(shown.ends_with("1 image, 1 refused\n"), "{shown}");
    }

    #[test]
    fn the_document_is_read_as_the_same_list_and_tells_what_was_refused() {
        let list = list();
        let document = document(&list);
        assert_eq!(document["refused"][0]["identifier"], "image-2");
        let again = ImageList::parse(document.to_string().as_bytes()).unwrap();
        assert_eq!(again.images, list.images);
    }
}
