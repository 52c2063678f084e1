//! The commands in the hands of somebody who may read little, and on pipes that end early.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use harness::program;
use harness::site::Site;

use super::{ONE, Ran, once};

/// The account of nobody, under which a test of root looks at a volume that is another's.
pub(super) const UNPRIVILEGED: u32 = 65534;

/// A site's volume that everybody may read, and the program where everybody may run it.
fn open_to_all() -> (Site, PathBuf) {
    let site = Site::new();
    let image = site.serve(ONE, "1", 1, 50_000);
    site.publish(&site.list("1.0", &[&image]));
    once(&site, &["-o", "none"]);
    mode(&site.path(""), 0o755);
    let program = site.path("operator");
    program::copy(env!("CARGO_BIN_EXE_operator").as_ref(), &program);
    (site, program)
}

pub(super) fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Runs the program with no rights beyond everybody's.
fn as_nobody(program: &Path, site: &Site, arguments: &[&str]) -> Ran {
    let mut command = Command::new(program);
    command.args(arguments).arg("--volume").arg(site.path("volume"));
    if fs::metadata(program).unwrap().uid() == 0 {
        command.uid(UNPRIVILEGED).gid(UNPRIVILEGED);
    }
    command.output().unwrap().into()
}

#[test]
fn who_may_read_the_volume_may_look_and_nothing_more() {
    let (site, program) = open_to_all();
    let run = |arguments: &[&str]| as_nobody(&program, &site, arguments);
    for arguments in [&["get"][..], &["get", "images", "--available"], &["cache", "ls"], &["list", "show", "vo"]] {
        let ran = run(arguments);
        assert!(ran.code == Some(0) && ran.shown.contains(ONE), "{arguments:?} {ran:?}");
    }
    if fs::metadata(&program).unwrap().uid() != 0 {
        return; // the volume's owner may write
    }
    let folder = site.path("manifests");
    let folder = folder.to_str().unwrap();
    let pin = ["pin", ONE, "1", "--manifests", folder];
    assert_eq!(run(&pin).code, Some(0), "to look at");
    for arguments in [&["refresh", "ils"][..], &["cache", "gc"], &[&pin[..], &["--write"]].concat()] {
        let ran = run(arguments);
        assert!(ran.code == Some(3) && ran.told.matches("Permission denied").count() == 1, "{arguments:?} {ran:?}");
    }
}

/// A volume that cannot be read is not shown as one that holds nothing.
#[test]
fn a_volume_that_cannot_be_read_is_told_as_that() {
    let (site, program) = open_to_all();
    let commands = [
        &["get"][..],
        &["get", "ils", "vo"],
        &["refresh", "ils"],
        &["cache", "ls"],
        &["list", "show", "vo"],
        &["pin", ONE, "1"],
    ];
    mode(&site.path("volume"), 0o000);
    for arguments in commands {
        let ran = as_nobody(&program, &site, arguments);
        assert!(ran.code == Some(3) && ran.told.contains("Permission denied"), "{arguments:?} {ran:?}");
    }
    mode(&site.path("volume"), 0o755);
    mode(&site.path("volume/state/resources/default"), 0o000);
    let ran = as_nobody(&program, &site, &["get"]);
    assert!(ran.code == Some(1) && ran.told.contains("Permission denied"), "{ran:?}");
    mode(&site.path("volume/state/resources/default"), 0o755);
}

/// `| head -1`, and the log on the same pipe.
#[test]
fn a_pipe_that_ends_early_is_no_fault() {
    let site = Site::new();
    let image = site.serve(ONE, "1", 1, 50_000);
    site.publish(&site.list("1.0", &[&image]));
    once(&site, &["-o", "none"]);
    let volume = site.path("volume");
    let volume = volume.to_str().unwrap();
    let commands: [(&[&str], i32); 6] = [
        (&["get", "--volume", volume], 0),
        (&["get", "images", "--available", "--volume", volume], 0),
        (&["refresh", "all", "--volume", volume], 0),
        (&["crds"], 0),
        (&["cache", "ls", "--volume", volume], 0),
        (&["list", "show", "/nonexistent"], 3),
    ];
    for (arguments, code) in commands {
        let ended = |set: fn(&mut Command, Stdio) -> &mut Command| {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            let mut command = Command::new(env!("CARGO_BIN_EXE_operator"));
            command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
            set(&mut command, writer.into()).status().unwrap().code()
        };
        assert_eq!(ended(Command::stdout), Some(code), "{arguments:?}");
        assert_eq!(ended(Command::stderr), Some(code), "{arguments:?}, its log");
    }
}
