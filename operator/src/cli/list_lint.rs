//! `list lint`: checks a list before it is signed.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::ValueEnum;
use jiff::Timestamp;

use super::list_input::{self, ListInput};
use super::list_source::{Access, is_url};
use super::{print, print_json};
use crate::imagelist::{Finding, ImageList, LintRequest, Severity, SourceUrl, lint};
use crate::size::Count;
use crate::text::printable;

/// Shows what sites would refuse or have trouble with in a list, and how to fix it. Exits with 1 when there is an
/// error.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The list: its JSON, or a signed message whose signature is not verified. A file, - for standard input, or an
    /// http(s) URL.
    #[arg(value_name = "FILE|URL")]
    list: String,
    /// The list that this one replaces: the new version must be higher, and identifiers must stay. A file or a URL.
    #[arg(long, value_name = "FILE|URL")]
    previous: Option<String>,
    #[command(flatten)]
    access: Access,
    /// Check the list as of this time instead of now, such as 2026-11-22T01:34:05Z.
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// Format of the findings.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// Format of the findings.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Output {
    /// Text.
    Table,
    /// An array of `{severity, path, message, advice}`.
    Json,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let text = read(args)?.into_text()?;
    let previous = args.previous.as_deref().map(|list| read_previous(args, list)).transpose()?;
    let request = LintRequest { now: args.at.unwrap_or_else(super::now), previous: previous.as_ref() };
    let findings = lint(&text, &request);
    match args.output {
        Output::Table => print(&table(&findings))?,
        Output::Json => print_json(&json(&findings))?,
    }
    let refused = findings.iter().any(|finding| finding.severity == Severity::Error);
    Ok(if refused { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Reads the list. If it is a file and the previous list is a URL, the credentials are for the previous list's server.
fn read(args: &Args) -> anyhow::Result<ListInput> {
    let previous_is_url = args.previous.as_deref().is_some_and(is_url);
    if previous_is_url && !is_url(&args.list) {
        return list_input::read(Path::new(&args.list));
    }
    args.access.read(&args.list)
}

/// Reads the previous list. The credentials are for one server, so they are not sent to another one.
fn read_previous(args: &Args, list: &str) -> anyhow::Result<ImageList> {
    let origin = |list: &str| list.parse::<SourceUrl>().map(|url| url.url().origin());
    let input = match is_url(list) {
        true if !is_url(&args.list) || origin(list)? == origin(&args.list)? => args.access.read(list)?,
        true => args.access.public().read(list)?,
        false => list_input::read(Path::new(list))?,
    };
    ImageList::parse(&input.into_text()?).map_err(|error| anyhow::anyhow!("{list}: {error}"))
}

/// Findings with the same advice for several images are shown once, with their number.
fn table(findings: &[Finding]) -> String {
    let mut groups: Vec<(&Finding, usize)> = Vec::new();
    let mut places: HashMap<(Severity, String, &str), usize> = HashMap::new();
    for finding in findings {
        let place =
            *places.entry((finding.severity, everywhere(&finding.path), &finding.advice)).or_insert_with(|| {
                groups.push((finding, 0));
                groups.len() - 1
            });
        groups[place].1 += 1;
    }
    let mut shown = String::new();
    for (Finding { severity, path, message, advice }, count) in groups {
        let more = if count > 1 { format!(" (and {} more like it)", count - 1) } else { String::new() };
        let _ = writeln!(shown, "{severity:<8} {}{more}", printable(path));
        let _ = writeln!(shown, "         {}", printable(message));
        let _ = writeln!(shown, "         → {}\n", printable(advice));
    }
    let _ = writeln!(shown, "{}", summary(findings));
    shown
}

/// The path without array indices. It is the same for every image.
fn everywhere(path: &str) -> String {
    let mut parts = path.split('[');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |whole, part| whole + "[" + part.trim_start_matches(|c: char| c.is_ascii_digit()))
}

fn summary(findings: &[Finding]) -> String {
    let count = |severity: Severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let notices = Count(count(Severity::Notice), "notice");
    let verdict = match (errors, warnings) {
        (0, 0) => "sites will take this list, once it is signed",
        (0, _) => "sites will take this list, once it is signed; some may trip over it",
        (_, _) => "sites will refuse this list, or images of it",
    };
    format!("{}, {}, {notices}: {verdict}", Count(errors, "error"), Count(warnings, "warning"))
}

fn json(findings: &[Finding]) -> serde_json::Value {
    let object = |finding: &Finding| {
        serde_json::json!({
            "severity": finding.severity.as_str(),
            "path": finding.path,
            "message": finding.message,
            "advice": finding.advice,
        })
    };
    findings.iter().map(object).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(severity: Severity) -> Finding {
        Finding { severity, path: "a.b".into(), message: "expected x, found\n y".into(), advice: "write x".into() }
    }

    #[test]
    fn findings_and_their_sum_are_shown() {
        let shown = table(&[finding(Severity::Error), finding(Severity::Notice)]);
        let expected = "error    a.b\n         expected x, found\\n y\n         → write x\n\n\
                        notice   a.b\n         expected x, found\\n y\n         → write x\n\n\
                        1 error, 0 warnings, 1 notice: sites will refuse this list, or images of it\n";
        assert_eq!(shown, expected);
        let of_image = |place: usize| {
            let path = format!("hv:imagelist.hv:images[{place}].hv:image.hv:size");
            Finding { path, ..finding(Severity::Notice) }
        };
        let shown = table(&[of_image(0), of_image(1), finding(Severity::Notice), of_image(12)]);
        assert!(
            shown.starts_with("notice   hv:imagelist.hv:images[0].hv:image.hv:size (and 2 more like it)\n"),
            "{shown}"
        );
        assert_eq!(shown.matches("notice   ").count(), 2, "{shown}");
        assert_eq!(table(&[]), "0 errors, 0 warnings, 0 notices: sites will take this list, once it is signed\n");
        assert_eq!(json(&[finding(Severity::Error)])[0]["severity"], "error");
    }
}
