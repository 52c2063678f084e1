//! Every command that a page shows is one that the program takes: options that were renamed or mistyped are found here.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use vmcatcher_operator::cli::Cli;

/// README.md, the pages of docs/, and the README of each example.
fn pages() -> Vec<PathBuf> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = vec![top.join("README.md")];
    for folder in ["docs", "examples"] {
        for entry in fs::read_dir(top.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let page = if path.is_dir() { path.join("README.md") } else { path };
            found.extend((page.extension().is_some_and(|end| end == "md")).then_some(page));
        }
    }
    found
}

/// The command lines of a page's code: what follows the program's name, up to a comment, a pipe or a redirection.
fn commands(page: &str) -> Vec<Vec<String>> {
    let mut fenced = false;
    let mut found = Vec::new();
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        let code = fenced || line.starts_with("    ");
        let Some((before, rest)) = line.split_once("vmcatcher-operator ").filter(|_| code) else { continue };
        let begins = before.trim().is_empty()
            || before.ends_with(['/', '='])
            || ["$ ", "-- "].iter().any(|end| before.ends_with(end));
        let words: Vec<&str> = rest.split_whitespace().take_while(|word| !word.starts_with(['#', '|', '>'])).collect();
        if begins && words.first().is_some_and(|word| word.chars().all(|c| c.is_ascii_lowercase())) {
            let unquoted = words.iter().map(|word| word.trim_matches(['"', '\'']).to_owned());
            found.push(["vmcatcher-operator".to_owned()].into_iter().chain(unquoted).collect());
        }
    }
    found
}

#[test]
fn every_command_that_a_page_shows_is_taken() {
    let mut seen = 0;
    for page in pages() {
        for command in commands(&fs::read_to_string(&page).unwrap()) {
            seen += 1;
            // In the unit and under cron the folders are in the environment.
            let mut words = command.clone();
            let says = |word: &str| command.iter().any(|said| said == word);
            for (option, value) in [("--volume", "v"), ("--manifests", "m")] {
                if says("reconcile") && !says(option) && !says("--check") {
                    words.extend([option, value].map(str::to_owned));
                }
            }
            if let Err(error) = Cli::try_parse_from(&words) {
                panic!("{}: {}\n{error}", page.display(), command.join(" "));
            }
        }
    }
    assert!(seen > 30, "{seen} commands seen");
}
