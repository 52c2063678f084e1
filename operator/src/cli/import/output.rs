//! Writes the manifests of an import, and the table of what became of each row.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use super::Target;
use crate::cli::table::render;
use crate::cli::{NOT_GOOD, print};
use crate::fs::write_atomic;
use crate::import::{Imported, Manifest, grouped};
use crate::size::Count;
use crate::text::printable_lines;

/// The files of a folder of manifests: the name, what is in it, and the mode.
fn parts(imported: &Imported) -> [(&'static str, &[Manifest], u32); 5] {
    [
        ("endorsers.yaml", &imported.endorsers, 0o644),
        ("subscriptions.yaml", &imported.subscriptions, 0o644),
        ("images.yaml", &imported.images, 0o644),
        ("clouds.yaml", &imported.targets, 0o644),
        ("secrets.yaml", &imported.secrets, 0o600),
    ]
}

/// Fails if a file is there that would be written. It may have changes that a person made.
pub(super) fn check(target: &Target) -> anyhow::Result<()> {
    let Some(folder) = &target.output else { return Ok(()) };
    for (name, _, _) in parts(&Imported::default()) {
        let path = folder.join(name);
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("cannot look at {}", path.display())),
            Ok(_) => bail!("{}: expected no such file, found one; give a new folder, or move it away", path.display()),
        }
    }
    Ok(())
}

/// Writes or prints the manifests, then the table. The exit code says whether something is left for a person.
pub(super) fn write(imported: &Imported, target: &Target) -> anyhow::Result<ExitCode> {
    match &target.output {
        Some(folder) => write_files(imported, folder)?,
        None => print_all(imported)?,
    }
    let rows = grouped(&imported.outcomes).into_iter().map(|(place, rows, fate)| {
        let (word, words) = fate.words();
        vec![place, rows, word.to_owned(), words.to_owned()]
    });
    let table = render(["found in", "which", "result", "what"].into_iter(), rows.collect());
    tell(&table)?;
    Ok(if imported.needs_a_person() { ExitCode::from(NOT_GOOD) } else { ExitCode::SUCCESS })
}

fn write_files(imported: &Imported, folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    for (name, manifests, mode) in parts(imported) {
        if !manifests.is_empty() {
            let path = folder.join(name);
            write_atomic(&path, text(manifests)?.as_bytes(), mode)?;
            tell(&format!("made {} with {}\n", path.display(), Count(manifests.len(), "manifest")))?;
        }
    }
    Ok(())
}

fn print_all(imported: &Imported) -> anyhow::Result<()> {
    for (_, manifests, mode) in parts(imported) {
        if mode == 0o600 && !manifests.is_empty() {
            let secrets = Count(manifests.len(), "Secret");
            tracing::warn!("{secrets} not printed: with --output DIR they are written to DIR/secrets.yaml");
        } else {
            print(&text(manifests)?)?;
        }
    }
    Ok(())
}

fn text(manifests: &[Manifest]) -> anyhow::Result<String> {
    manifests.iter().map(|manifest| Ok(manifest.text()?)).collect()
}

/// Writes to standard error, since standard output has the manifests.
fn tell(text: &str) -> anyhow::Result<()> {
    let mut output = std::io::stderr().lock();
    output.write_all(printable_lines(text).as_bytes()).context("cannot write to standard error")
}
