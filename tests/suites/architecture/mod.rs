//! The house rules that a compiler does not know: arrows point down only, pure code is pure, files and functions stay
//! short, and nothing names the machine it was written on.

mod imports;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use imports::{Imports, top};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// All files below a folder, but for the workspace's build output, version control and what editors leave.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let is_build_output = path == workspace().join("target") || path == workspace().join("tests/fuzz/target");
        if path.is_dir() && !is_build_output && !matches!(name.as_str(), ".git" | ".cache") {
            files(&path, found);
        } else if path.is_file() && name != ".git" {
            found.push(path);
        }
    }
}

pub(crate) fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    files(&workspace().join(folder), &mut found);
    found.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    found.sort();
    assert!(!found.is_empty(), "no source in {folder}");
    found.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// The path as people know it.
fn shown(path: &Path) -> String {
    path.strip_prefix(workspace()).unwrap_or(path).display().to_string()
}

/// The code without comments, and without what follows the unit tests' `#[cfg(test)]`.
pub(crate) fn product_code(text: &str) -> String {
    let before_tests = text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or(text);
    let lines = before_tests.lines().map(|line| line.split("//").next().unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

pub(crate) fn is_test(path: &Path) -> bool {
    let inside = path.strip_prefix(workspace()).unwrap_or(path);
    inside.ends_with("tests.rs") || inside.components().any(|part| part.as_os_str() == "tests")
}

/// The floors of the house, from the top down: a module uses those of its own floor and of lower ones.
const FLOORS: [&[&str]; 7] = [
    &["cli"],
    &["serve", "run"],
    &["reconcile"],
    &["store", "import"],
    &["cache", "fetch", "convert", "opennebula", "openstack", "cloud", "events", "anchors"],
    &["trust", "imagelist", "metrics", "size", "xml", "yaml", "api"],
    &["text", "turns", "digest", "duration", "fs", "parallel"],
];

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|modules| modules.contains(&module))
}

fn imports() -> Imports {
    let top = workspace().join("operator/src");
    let files = sources("operator/src").into_iter().filter(|(path, _)| !is_test(path));
    let inside = |path: &Path| path.strip_prefix(&top).unwrap().display().to_string();
    Imports::new(files.map(|(path, text)| (inside(&path), product_code(&text))))
}

#[test]
fn arrows_point_down_only() {
    let mut wrong = String::new();
    let imports = imports();
    for own in imports.modules().filter(|own| !["", "main"].contains(own)) {
        let module = top(own);
        let floor_of_own = floor(module).unwrap_or_else(|| panic!("operator/src/{module} has no floor in this test"));
        let above = |other: &&String| floor(top(other)).is_some_and(|floor| floor < floor_of_own);
        for other in imports.named_by(own).iter().filter(above) {
            let _ = writeln!(wrong, "{own} names {other}, which is above it");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn no_file_imports_another_in_a_circle() {
    let imports = imports();
    let circles = [imports.circles(), imports.circles_at_the_top()].concat();
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn no_kind_of_reconcile_imports_another() {
    let wrong = imports().across_kinds();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_module_is_on_the_map_of_the_library() {
    let map = fs::read_to_string(workspace().join("operator/src/lib.rs")).unwrap();
    let declared: BTreeSet<&str> =
        map.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    for module in &declared {
        assert!(floor(module).is_some(), "{module} has no floor in this test");
        assert_eq!(map.matches(&format!("//! * [`{module}`]:")).count(), 1, "{module} on the map in lib.rs");
    }
    assert!(declared.len() > 3);
}

/// What pure code does not know: tokio, a client, files, processes, threads, a clock.
const IMPURE: [&str; 17] = [
    "tokio",
    "reqwest",
    "kube::Client",
    "kube::Api",
    "kube::client",
    "kube::runtime",
    "std::fs",
    "std::net",
    "std::process",
    "std::env",
    "std::thread",
    "fs::File",
    "Timestamp::now",
    "Zoned::now",
    "SystemTime",
    "Instant",
    "Context<",
];

/// Whether the docs of a file, but for lists in them, call it pure.
fn calls_itself_pure(text: &str) -> bool {
    let docs = text.lines().take_while(|line| line.starts_with("//!")).filter(|line| !line.starts_with("//! *"));
    docs.flat_map(|line| line.split_whitespace()).any(|word| {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        word == "Pure" || word == "pure"
    })
}

/// `imagelist`, `trust`, every `check.rs`, `plan.rs`, `report.rs`, and whatever calls itself so.
#[test]
fn pure_code_is_pure() {
    let pure = |path: &Path, text: &str| {
        let folders = ["operator/src/imagelist/", "operator/src/trust/"];
        let names = ["check.rs", "plan.rs", "report.rs"];
        folders.iter().any(|folder| shown(path).starts_with(folder))
            || names.iter().any(|name| path.ends_with(name))
            || (calls_itself_pure(text) && !path.ends_with("lib.rs"))
    };
    let mut looked_at = 0;
    let mut wrong = String::new();
    for (path, text) in sources("operator/src").into_iter().filter(|(path, text)| pure(path, text) && !is_test(path)) {
        looked_at += 1;
        for name in impure(&text) {
            let _ = writeln!(wrong, "{}: {name}", shown(&path));
        }
    }
    assert!(looked_at > 80, "looked at {looked_at} files only");
    assert!(wrong.is_empty(), "\n{wrong}");
}

fn impure(text: &str) -> Vec<&'static str> {
    let code = product_code(text);
    IMPURE.into_iter().filter(|name| code.contains(*name)).collect()
}

/// A rename or a link is durable only with its directory synced: only `fs` and the modules of the volume make them.
#[test]
fn only_fs_and_the_modules_of_the_volume_move_files() {
    let places = ["operator/src/cache/", "operator/src/events/spool/", "operator/src/fs/"];
    let mut seen = 0;
    for (path, text) in sources("operator/src").into_iter().filter(|(path, _)| !is_test(path)) {
        let code = product_code(&text);
        for call in ["fs::rename(", "fs::hard_link(", ".persist("].iter().filter(|call| code.contains(**call)) {
            assert!(places.iter().any(|place| shown(&path).starts_with(place)), "{}: {call}", shown(&path));
            seen += 1;
        }
    }
    assert!(seen > 0, "no rename seen at all");
}

#[test]
fn files_have_at_most_400_lines_and_functions_40() {
    let mut wrong = String::new();
    for (path, text) in ["operator", "tests"].into_iter().flat_map(sources) {
        let lines = text.lines().count();
        if lines > 400 {
            let _ = writeln!(wrong, "{}: {lines} lines", shown(&path));
        }
        if is_test(&path) {
            continue;
        }
        for (number, name, length) in functions(&text).into_iter().filter(|(_, _, length)| *length > 40) {
            let _ = writeln!(wrong, "{}:{number}: {name} has {length} lines", shown(&path));
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// The functions of formatted code before its unit tests: where each begins, its line, and how many lines it has.
fn functions(text: &str) -> Vec<(usize, String, usize)> {
    let before_tests = text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or(text);
    let lines: Vec<&str> = before_tests.lines().collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let words = line.trim_start();
        let begins = words.strip_prefix("pub ").or(words.strip_prefix("pub(crate) ")).unwrap_or(words);
        let begins = begins.strip_prefix("pub(super) ").unwrap_or(begins);
        let begins = ["const ", "async "].iter().fold(begins, |rest, word| rest.strip_prefix(word).unwrap_or(rest));
        if begins.starts_with("fn ") {
            let indent = &line[..line.len() - words.len()];
            let (end, signature_end) = (format!("{indent}}}"), format!("{indent})"));
            let ends = |line: &str| line == end || (line.starts_with(&signature_end) && line.ends_with(';'));
            // One of a trait may have no body, on one line or on several.
            let within = lines[index..].iter().position(|&line| ends(line)).filter(|_| !line.ends_with(';'));
            let length = within.map_or(1, |offset| offset + 1);
            found.push((index + 1, words.chars().take(60).collect(), length));
        }
    }
    found
}

/// Nothing tells on which machine, or from which package mirror, the project was written.
#[test]
fn no_file_names_a_machine_or_a_mirror() {
    let forbidden = [
        concat!("/tmp", "/wt"),
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/home", "/"),
        concat!("../", "shared"),
        concat!("artifact", "ory"),
        concat!("index.", "crates.io"),
        concat!("static.", "crates.io"),
        concat!("proxy.", "golang.org"),
    ];
    let mut found = Vec::new();
    files(&workspace(), &mut found);
    let mut wrong = String::new();
    for path in found {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for name in forbidden.iter().filter(|name| text.contains(**name)) {
            let _ = writeln!(wrong, "{}: {name}", shown(&path));
        }
        let lock = if path.ends_with("Cargo.lock") { text.as_str() } else { "" };
        let index = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
        for line in lock.lines().filter(|line| line.starts_with("source = ") && *line != index) {
            let _ = writeln!(wrong, "{}: {line}", shown(&path));
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// The small readers above see what they must: else the rules hold because nothing is looked at.
#[test]
fn the_rules_see_what_they_forbid() {
    let code = "use a; // tokio\n#[cfg(test)]\nmod tests {\n    use tokio;\n}\n";
    assert_eq!(product_code(code), "use a; ");
    let text = "impl A {\n    pub(super) async fn long() {\n        x\n    }\n}\nfn short() {}\n";
    let found: Vec<_> = functions(text).into_iter().map(|(line, _, length)| (line, length)).collect();
    assert_eq!(found, [(2, 3), (6, 1)]);
    let clock = "//! When it is due. Pure.\n\nfn now() -> Timestamp {\n    Timestamp::now()\n}\n";
    assert!(calls_itself_pure(clock) && impure(clock) == ["Timestamp::now"]);
    assert!(!calls_itself_pure("//! Two parts:\n//!\n//! * the plan (pure)\n"));
}
