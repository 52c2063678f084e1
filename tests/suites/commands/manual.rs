//! Manual pages and completions: each command has them, and bash completes by them.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use clap::CommandFactory as _;
use vmcatcher_operator::cli::Cli;

use super::operator;

/// The names of the manual pages of a command and of all commands below it, each with its long options.
fn expected(command: &clap::Command, name: &str) -> Vec<(String, Vec<String>)> {
    let options = command.get_arguments().filter_map(clap::Arg::get_long).map(|long| format!("--{long}")).collect();
    let below = command.get_subcommands().filter(|below| below.get_name() != "help");
    let below = below.flat_map(|below| expected(below, &format!("{name}-{}", below.get_name())));
    [(name.to_owned(), options)].into_iter().chain(below).collect()
}

#[test]
fn each_command_has_a_page_with_all_of_its_options() {
    let folder = tempfile::tempdir().unwrap();
    let made = operator(&["man", "--output", folder.path().to_str().unwrap()]);
    assert_eq!((made.code, made.shown.as_str(), made.told.as_str()), (Some(0), "", ""), "{made:?}");
    let mut program = Cli::command();
    program.build();
    let expected = expected(&program, "vmcatcher-operator");
    assert!(expected.len() > 30, "{} commands", expected.len());
    let files: BTreeSet<String> =
        fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(files, expected.iter().map(|(name, _)| format!("{name}.1")).collect());
    for (name, options) in expected {
        let text = fs::read_to_string(folder.path().join(format!("{name}.1"))).unwrap();
        assert!(text.contains(&format!(".TH {name} 1 \" \" \"vmcatcher-operator ")), "{name}: {text}");
        for option in options {
            // A hyphen is written as \- in a page.
            assert!(text.contains(&option.replace('-', "\\-")), "{name}: {option}");
        }
    }
    let missing = operator(&["man", "--output", "/no/such/folder"]);
    assert_eq!(missing.code, Some(3), "{missing:?}");
    assert!(missing.told.contains("/no/such/folder"), "{missing:?}");
}

/// What bash offers after these words, of which the last is being typed.
fn completed(script: &str, words: &[&str]) -> Vec<String> {
    let quoted = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
    let (last, before) = (words[words.len() - 1], words[words.len() - 2]);
    let program = format!(
        "{script}\nCOMP_WORDS=({quoted}); COMP_CWORD={}; _vmcatcher__operator vmcatcher-operator '{last}' \
         '{before}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words.len() - 1
    );
    let output = Command::new("bash").args(["--norc", "-c", &program]).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_and_values() {
    let script = operator(&["completions", "bash"]);
    assert_eq!(script.code, Some(0), "{script:?}");
    let offered = |words: &[&str]| completed(&script.shown, words);
    assert_eq!(offered(&["vmcatcher-operator", "rec"]), ["reconcile"]);
    assert_eq!(offered(&["vmcatcher-operator", "list", "v"]), ["verify"]);
    assert_eq!(offered(&["vmcatcher-operator", "endorser", "from-list", "--nam"]), ["--name"]);
    assert_eq!(offered(&["vmcatcher-operator", "reconcile", "--dry"]), ["--dry-run"]);
    assert_eq!(offered(&["vmcatcher-operator", "reconcile", "--output", "y"]), ["yaml"]);
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        let script = operator(&["completions", shell]);
        assert!(script.code == Some(0) && script.shown.contains("reconcile"), "{shell}: {script:?}");
    }
}
