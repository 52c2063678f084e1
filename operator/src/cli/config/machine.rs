//! What a sink needs and this machine does not have. It is looked for with the rights of the user of the command.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use url::Url;

use crate::events::{AmqpSettings, ClientTls, ExecSettings, Handlers, SinkKind, SinkSettings, WebhookSettings};

/// The most entries of a directory that are looked at.
const MOST_ENTRIES: usize = 1000;

/// Warnings about a sink: what was expected and what was found, one line each.
pub(in crate::cli) fn warnings(sink: &SinkSettings) -> Vec<String> {
    match &sink.kind {
        SinkKind::Exec(exec) => of_exec(exec),
        SinkKind::Amqp(amqp) => of_amqp(amqp),
        SinkKind::Webhook(webhook) => of_webhook(webhook),
        SinkKind::File(file) => of_file(&file.path),
    }
}

fn key_of(tls: &ClientTls) -> Option<&PathBuf> {
    tls.identity.as_ref().map(|(_, key)| key)
}

/// The files of a sink that hold secrets.
pub(in crate::cli) fn secret_files(sink: &SinkSettings) -> Vec<&PathBuf> {
    match &sink.kind {
        SinkKind::Exec(_) | SinkKind::File(_) => Vec::new(),
        SinkKind::Amqp(amqp) => {
            let password = amqp.credentials.as_ref().map(|files| &files.password);
            password.into_iter().chain(key_of(&amqp.tls)).collect()
        }
        SinkKind::Webhook(webhook) => {
            webhook.hmac_key.iter().chain(&webhook.token).chain(key_of(&webhook.tls)).collect()
        }
    }
}

fn of_exec(exec: &ExecSettings) -> Vec<String> {
    match &exec.handlers {
        Handlers::Command(command) => {
            command.first().and_then(|program| unrunnable(Path::new(program))).into_iter().collect()
        }
        Handlers::Directory(directory) => of_directory(directory),
    }
}

/// Entries that are skipped: programs have names of letters, digits, _ and - (run-parts(8)).
fn of_directory(directory: &Path) -> Vec<String> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => return vec![format!("expected a directory at {}, found: {error}", directory.display())],
    };
    let mut paths: Vec<PathBuf> = entries.take(MOST_ENTRIES).flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let skipped = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        let is_name = name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(byte));
        if is_name {
            return unrunnable(path);
        }
        Some(format!("expected a name of letters, digits, _ and -, found {}", path.display()))
    };
    let mut warnings: Vec<String> =
        paths.iter().filter_map(skipped).map(|warning| format!("{warning}: it is skipped")).collect();
    if warnings.len() == paths.len() {
        warnings.push(format!("expected handlers in {}, found none", directory.display()));
    }
    warnings
}

/// Why a program cannot be run.
fn unrunnable(program: &Path) -> Option<String> {
    unusable(program, Access::EXEC_OK, "an executable file")
}

/// Why a file cannot be used. A file that is not regular is not opened, so that a pipe blocks nothing.
fn unusable(file: &Path, rights: Access, what: &str) -> Option<String> {
    let found = match fs::metadata(file) {
        Ok(about) if about.is_file() => access(file, rights).err()?.to_string(),
        Ok(about) if about.is_dir() => "a directory".to_owned(),
        Ok(_) => "something else".to_owned(),
        Err(error) => error.to_string(),
    };
    Some(format!("expected {what} at {}, found: {found}", file.display()))
}

fn of_amqp(amqp: &AmqpSettings) -> Vec<String> {
    let credentials = amqp.credentials.iter().flat_map(|files| [&files.username, &files.password]);
    let mut warnings = unreadable(credentials.chain(files_of(&amqp.tls)));
    let is_near = is_loopback(&amqp.url);
    if amqp.credentials.is_none() && !is_near {
        warnings.push(
            "expected usernameFile and passwordFile for a broker on another machine, found none: brokers \
                       accept the user guest from their own machine only"
                .to_owned(),
        );
    }
    if amqp.credentials.is_some() && !is_near && amqp.url.scheme() != "amqps" {
        warnings.push(in_plain_text("amqps", "user name and password"));
    }
    warnings
}

fn of_webhook(webhook: &WebhookSettings) -> Vec<String> {
    let mut warnings = unreadable(webhook.hmac_key.iter().chain(&webhook.token).chain(files_of(&webhook.tls)));
    if webhook.token.is_some() && !is_loopback(&webhook.url) && webhook.url.scheme() != "https" {
        warnings.push(in_plain_text("https", "token"));
    }
    warnings
}

fn in_plain_text(scheme: &str, what: &str) -> String {
    format!("expected an address of {scheme}, found one without TLS: anyone on the network path can read the {what}")
}

fn files_of(tls: &ClientTls) -> impl Iterator<Item = &PathBuf> {
    tls.authorities.iter().chain(tls.identity.iter().flat_map(|(certificate, key)| [certificate, key]))
}

fn unreadable<'f>(files: impl Iterator<Item = &'f PathBuf>) -> Vec<String> {
    files.filter_map(|file| unusable(file, Access::READ_OK, "a readable file")).collect()
}

/// The file is created if it is not there, so its directory has to be there.
fn of_file(file: &Path) -> Vec<String> {
    if fs::symlink_metadata(file).is_ok() {
        return unusable(file, Access::WRITE_OK, "a file that can be written").into_iter().collect();
    }
    let directory = file.parent().unwrap_or(Path::new("/"));
    let found = match fs::metadata(directory) {
        Ok(about) if about.is_dir() => {
            access(directory, Access::WRITE_OK | Access::EXEC_OK).err().map(|error| error.to_string())
        }
        Ok(_) => Some("something else".to_owned()),
        Err(error) => Some(error.to_string()),
    };
    found
        .map(|found| format!("expected a directory that can be written at {}, found: {found}", directory.display()))
        .into_iter()
        .collect()
}

/// Whether an address is that of this machine. The parser keeps the host of an `amqp` address as text.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
