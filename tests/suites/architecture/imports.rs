//! Which file imports which, by its `use` declarations and by the paths in its code.

use std::collections::{BTreeMap, BTreeSet};

/// The files of a crate by their module (`reconcile::image::plan`), with their code.
pub(super) struct Imports {
    code: BTreeMap<String, String>,
    /// What `pub use` makes of a name: the path that it stands for.
    exported: BTreeMap<String, String>,
}

impl Imports {
    /// The files by their paths below `src`, with their code: no comments, no unit tests.
    pub(super) fn new(files: impl IntoIterator<Item = (String, String)>) -> Self {
        let code: BTreeMap<String, String> = files.into_iter().map(|(path, code)| (module(&path), code)).collect();
        let mut imports = Self { code, exported: BTreeMap::new() };
        let mut exported = BTreeMap::new();
        for (own, code) in &imports.code {
            for (path, name) in declarations(code).filter(|(exports, _)| *exports).flat_map(|(_, tree)| leaves(&tree)) {
                let from = absolute(own, &path).unwrap_or_else(|| join(own, &path));
                exported.insert(join(own, &name), from);
            }
        }
        imports.exported = exported;
        imports
    }

    /// The modules, one a file.
    pub(super) fn modules(&self) -> impl Iterator<Item = &str> {
        self.code.keys().map(String::as_str)
    }

    /// The modules that a module imports. What it exports from elsewhere under its own name is no import.
    pub(super) fn of(&self, own: &str) -> BTreeSet<String> {
        self.used(own, |exports| !exports)
    }

    /// The modules that a module imports or exports.
    pub(super) fn named_by(&self, own: &str) -> BTreeSet<String> {
        self.used(own, |_| true)
    }

    fn used(&self, own: &str, counts: fn(bool) -> bool) -> BTreeSet<String> {
        let code = &self.code[own];
        let used = declarations(code).filter(|(exports, _)| counts(*exports)).flat_map(|(_, tree)| leaves(&tree));
        let used = used.map(|(path, _)| path).chain(paths(code));
        used.filter_map(|path| self.file_of(&absolute(own, &path)?)).filter(|found| found != own).collect()
    }

    /// The file where a path leads: the longest part of it that is a file, or what is exported there under the name.
    fn file_of(&self, path: &str) -> Option<String> {
        let mut path = path.to_owned();
        'exports: for _ in 0..16 {
            let mut module = path.as_str();
            loop {
                if self.code.contains_key(module) {
                    let name = path[module.len()..].trim_start_matches("::").split("::").next().unwrap_or_default();
                    match self.exported.get(&join(module, name)) {
                        Some(from) if !name.is_empty() && *from != path => {
                            path.clone_from(from);
                            continue 'exports;
                        }
                        _ => return Some(module.to_owned()),
                    }
                }
                module = module.rsplit_once("::")?.0;
            }
        }
        None
    }

    /// Files that import each other in a circle.
    pub(super) fn circles(&self) -> Vec<Vec<String>> {
        circles(&self.code.keys().map(|own| (own.clone(), self.of(own))).collect())
    }

    /// Modules of the top that name each other in a circle.
    pub(super) fn circles_at_the_top(&self) -> Vec<Vec<String>> {
        let mut named: Edges = BTreeMap::new();
        for own in self.code.keys().filter(|own| !own.is_empty()) {
            let others = self.named_by(own).into_iter().map(|other| top(&other).to_owned());
            let others = others.filter(|other| !other.is_empty() && other != top(own));
            named.entry(top(own).to_owned()).or_default().extend(others);
        }
        circles(&named)
    }

    /// Imports of one kind of `reconcile` by another. A subscription may ask what an endorser's spec says.
    pub(super) fn across_kinds(&self) -> Vec<String> {
        let kind = |module: &str| {
            let kind = module.strip_prefix("reconcile::")?.split("::").next()?;
            ["cloud_target", "endorser", "image", "subscription"].into_iter().find(|name| *name == kind)
        };
        let mut found = Vec::new();
        for own in self.code.keys() {
            let Some(from) = kind(own) else { continue };
            for other in self.of(own) {
                let allowed = |to| to == from || (from, to) == ("subscription", "endorser");
                found.extend(kind(&other).filter(|to| !allowed(*to)).map(|_| format!("{own} imports {other}")));
            }
        }
        found
    }
}

/// Who names whom.
type Edges = BTreeMap<String, BTreeSet<String>>;

/// Whatever is reached from a name.
fn reached<'e>(edges: &'e Edges, from: &'e String) -> BTreeSet<&'e String> {
    let (mut found, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(name) = next.pop() {
        next.extend(edges.get(name).into_iter().flatten().filter(|name| found.insert(*name)));
    }
    found
}

/// Those that reach themselves, each circle once and sorted; the longest first.
fn circles(edges: &Edges) -> Vec<Vec<String>> {
    let reached: BTreeMap<&String, BTreeSet<&String>> = edges.keys().map(|own| (own, reached(edges, own))).collect();
    let returns = |own: &String, other: &String| reached.get(other).is_some_and(|found| found.contains(own));
    let circle = |own: &String| reached[own].iter().filter(|other| returns(own, other)).map(|o| (*o).clone()).collect();
    let circles: BTreeSet<Vec<String>> = edges.keys().map(circle).collect();
    let mut circles: Vec<_> = circles.into_iter().filter(|circle| !circle.is_empty()).collect();
    circles.sort_by_key(|circle| std::cmp::Reverse(circle.len()));
    circles
}

/// The module of the top that a module is in.
pub(super) fn top(module: &str) -> &str {
    module.split("::").next().unwrap_or_default()
}

/// `reconcile/image/mod.rs` is `reconcile::image`, `lib.rs` is the empty name.
fn module(path: &str) -> String {
    let name = path.trim_end_matches(".rs").replace('/', "::");
    let name = name.strip_suffix("::mod").unwrap_or(&name);
    if name == "lib" { String::new() } else { name.to_owned() }
}

fn join(module: &str, name: &str) -> String {
    if module.is_empty() { name.to_owned() } else { format!("{module}::{name}") }
}

/// A path from the top of the crate; `None` for one of another crate.
fn absolute(own: &str, path: &str) -> Option<String> {
    if let Some(rest) = path.strip_prefix("crate::") {
        return Some(rest.to_owned());
    }
    if let Some(rest) = path.strip_prefix("self::") {
        return Some(join(own, rest));
    }
    let (mut module, mut rest) = (own, path.strip_prefix("super::")?);
    module = module.rsplit_once("::").map_or("", |(above, _)| above);
    while let Some(above) = rest.strip_prefix("super::") {
        (module, rest) = (module.rsplit_once("::").map_or("", |(above, _)| above), above);
    }
    Some(join(module, rest))
}

/// The trees of the `use` declarations; whether each exports what it names.
fn declarations(code: &str) -> impl Iterator<Item = (bool, String)> {
    let starts = code.match_indices("use ").filter_map(|(at, _)| {
        let line = code[..at].rsplit('\n').next().unwrap_or_default().trim();
        let exports = line.starts_with("pub");
        let tree = code[at + 4..].split(';').next()?;
        (line.is_empty() || exports && !line.contains(char::is_whitespace)).then(|| (exports, tree.to_owned()))
    });
    starts.collect::<Vec<_>>().into_iter()
}

/// The paths of a `use` tree, each with the name that it gets.
fn leaves(tree: &str) -> Vec<(String, String)> {
    let tree = tree.trim();
    if let Some((prefix, group)) = tree.split_once('{') {
        let mut depth = 0;
        let group = group.strip_suffix('}').unwrap_or(group);
        let parts = group.split(|c| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            depth == 0 && c == ','
        });
        let parts = parts.filter(|part| !part.trim().is_empty());
        return parts.flat_map(|part| leaves(&format!("{prefix}{}", part.trim()))).collect();
    }
    let (path, renamed) = tree.split_once(" as ").map_or((tree, None), |(path, name)| (path, Some(name)));
    let path = path.trim().trim_end_matches("::self").trim_end_matches("::*");
    let name = renamed.unwrap_or_else(|| path.rsplit("::").next().unwrap_or(path));
    vec![(path.to_owned(), name.trim().to_owned())]
}

/// The paths in code that begin at the top of the crate, or above the module.
fn paths(code: &str) -> Vec<String> {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let words = code.split(|c: char| !is_path(c)).map(|word| word.trim_end_matches(':'));
    words.filter(|word| word.starts_with("crate::") || word.starts_with("super::")).map(str::to_owned).collect()
}

#[test]
fn what_is_forbidden_is_seen() {
    let imports = |files: &[(&str, &str)]| {
        Imports::new(files.iter().map(|(path, code)| ((*path).to_owned(), (*code).to_owned())))
    };
    let circle = [
        ("lib.rs", ""),
        ("a/mod.rs", "mod b;\npub use b::B;\n"),
        ("a/b.rs", "use crate::c::{\n    self, D,\n};\n"),
        ("c.rs", "fn c() -> crate::a::B {}\n"),
        ("d.rs", "use super::c::D;\n"),
    ];
    assert_eq!(imports(&circle).circles(), [["a::b", "c"]]);
    assert_eq!(imports(&circle).of("d"), BTreeSet::from(["c".to_owned()]));
    assert!(imports(&circle[..3]).circles().is_empty());
    let around = [("a/x.rs", "use crate::b::y;\n"), ("b/y.rs", ""), ("b/z.rs", "pub use crate::a::x::X;\n")];
    assert!(imports(&around).circles().is_empty());
    assert_eq!(imports(&around).circles_at_the_top(), [["a", "b"]]);
    assert_eq!(imports(&around).named_by("b::z"), BTreeSet::from(["a::x".to_owned()]));
    let kinds = [
        ("reconcile/image/plan.rs", "use crate::reconcile::subscription::check;\nuse super::super::backoff;\n"),
        ("reconcile/subscription/check.rs", "use crate::reconcile::endorser;\nuse crate::reconcile::image::plan;\n"),
        ("reconcile/subscription/mod.rs", "pub(super) use self::check::check;\n"),
        ("reconcile/endorser/mod.rs", ""),
        ("reconcile/backoff.rs", ""),
    ];
    let found = imports(&kinds).across_kinds();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("reconcile::image::plan imports") && found[1].ends_with("image::plan"), "{found:?}");
}
