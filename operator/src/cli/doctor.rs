//! `doctor`: what is wrong with a site, where, and the command that mends it.
//!
//! It changes nothing, and works while the operator runs. Each probe is thin; what is wrong is decided by pure code in
//! the files below.

mod cluster;
mod finding;
mod secrets;
mod servers;
mod sinks;
#[cfg(test)]
mod tests;
mod trust;
mod volume;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use jiff::Timestamp;
use rustix::process::{getegid, geteuid};

use self::finding::{Area, Finding, Report};
use super::operation::{Files, Operation};
use super::table::{Output, documents};
use super::{NOT_GOOD, config, dry_run, get, print};
use crate::anchors;
use crate::api::{CloudTarget, Endorser, ImageListSubscription, VerifyMode};
use crate::convert::find_program;
use crate::events::config::Config;
use crate::reconcile::{probe, survey};
use crate::store::ResourceStore as _;
use crate::store::directory::Directory;
use crate::store::kubernetes::counted;

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder of manifests, as `reconcile` has it. Without it the API server is looked at, as `run` uses it
    #[arg(long, value_name = "DIR", env = "VMCATCHER_MANIFESTS")]
    manifests: Option<PathBuf>,
    /// Without --manifests: only the rights in this namespace (can be given several times) [default: all namespaces]
    #[arg(
        long,
        value_name = "NAME",
        env = "VMCATCHER_NAMESPACES",
        value_delimiter = ',',
        conflicts_with = "manifests"
    )]
    namespace: Vec<String>,
    /// Format of the findings
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    operation: Operation,
}

/// Looks at everything. List servers, clouds and receivers of events are asked, and get nothing.
pub(super) fn run(args: &Args, quiet: bool) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(look(args))?;
    let text = match args.output {
        Output::Table | Output::Wide => report.text(quiet),
        Output::Json | Output::Yaml | Output::None => {
            let parts = documents(args.output, &report.findings, Ok, |_| Ok(String::new()))?;
            get::join(args.output, &parts)?
        }
    };
    print(&text)?;
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::from(NOT_GOOD) })
}

async fn look(args: &Args) -> anyhow::Result<Report> {
    let mut report = Report::default();
    let operation = &args.operation;
    let config = look_at_events(operation, &mut report).await;
    look_at_volume(operation, &config, &mut report);
    match &args.manifests {
        Some(folder) => look_at_folder(operation, folder, config, &mut report).await?,
        None => look_at_cluster(args, &mut report).await?,
    }
    Ok(report)
}

fn look_at_volume(operation: &Operation, config: &Config, report: &mut Report) {
    let root = &operation.volume;
    let inspected = operation.inspect().map(|mut inspected| {
        // Logs of events may be there.
        inspected.strangers.retain(|path| !config.events.sinks.iter().any(|sink| sinks::is_file(sink, path)));
        inspected
    });
    let account = format!("{}:{}", geteuid().as_raw(), getegid().as_raw());
    report.add(Area::Volume, volume::seen(root, &inspected), volume::findings(root, &inspected, &account));
}

/// The configuration file. If it is wrong, the rest of the site is looked at without sinks.
async fn look_at_events(operation: &Operation, report: &mut Report) -> Config {
    let Some(file) = operation.config() else {
        report.add(Area::Events, "no configuration file (--config), so no sinks", Vec::new());
        return Config::default();
    };
    let check = format!("vmcatcher-operator config check {}", file.display());
    let wrong = |message: String| Finding::wrong(Area::Events, file.display(), message, &check);
    match config::read(file) {
        Err(error) => report.add(Area::Events, file.display().to_string(), vec![wrong(format!("{error:#}"))]),
        Ok(Err(problems)) => {
            let found = problems.iter().map(|problem| wrong(problem.in_file(file))).collect();
            report.add(Area::Events, file.display().to_string(), found);
        }
        Ok(Ok(config)) => {
            let sinks = &config.events.sinks;
            let seen = format!("{}: {} sinks", file.display(), sinks.len());
            report.add(Area::Events, seen, sinks::findings(file, sinks).await);
            return config;
        }
    }
    Config::default()
}

async fn look_at_folder(
    operation: &Operation,
    folder: &Path,
    config: Config,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut secrets = secrets::manifests_with_secrets(folder);
    secrets.extend(config.events.sinks.iter().flat_map(config::machine::secret_files).cloned());
    report.add(Area::Secrets, format!("{} files with secrets", secrets.len()), secrets::findings(&secrets));
    let directory = match Directory::read(folder, Timestamp::now()) {
        Ok(directory) => directory,
        Err(error) => {
            let message = format!("{:#}", anyhow::Error::from(error));
            let mend = format!("ls -ld {}; the account of the operator has to read it", folder.display());
            let found = Finding::wrong(Area::Manifests, folder.display(), message, mend);
            report.add(Area::Manifests, folder.display().to_string(), vec![found]);
            return Ok(());
        }
    };
    look_at_manifests(operation, folder, &directory, &config, report).await?;
    look_at_trust(operation, needs_certificates(&directory), report);
    look_at_programs(&directory, report);
    look_at_servers(operation, directory, config, report).await
}

async fn look_at_manifests(
    operation: &Operation,
    folder: &Path,
    directory: &Directory,
    config: &Config,
    report: &mut Report,
) -> anyhow::Result<()> {
    let check = format!("vmcatcher-operator reconcile --manifests {} --check", folder.display());
    let wrong = |place: String, message: String| Finding::wrong(Area::Manifests, place, message, &check);
    let surveyed = survey(directory, &operation.settings(config.clone())).await?;
    let broken =
        directory.problems().into_iter().map(|problem| wrong(folder.display().to_string(), problem.to_string()));
    let in_vain = surveyed
        .iter()
        .flat_map(|one| one.problems.iter().map(|problem| wrong(format!("{} {}", one.kind, one.key), problem.clone())));
    let found = broken.chain(in_vain).collect();
    report.add(Area::Manifests, format!("{}: {} objects", folder.display(), surveyed.len()), found);
    Ok(())
}

/// Whether the trust directory is used: an endorser has a certificate, or the first signer is trusted.
fn needs_certificates(directory: &Directory) -> bool {
    let has_certificate =
        |endorser: &Endorser| endorser.spec.credentials.iter().any(|credential| credential.x509.is_some());
    directory.all::<Endorser>().iter().any(|endorser| has_certificate(endorser))
        || directory
            .all::<ImageListSubscription>()
            .iter()
            .any(|subscription| subscription.spec.verify.mode == VerifyMode::AutoEndorse)
}

fn look_at_trust(operation: &Operation, needed: bool, report: &mut Report) {
    let path = &operation.trust;
    let (anchors, problems) = anchors::load(path);
    let counted = format!("{}: {} authorities, {} CRLs", path.display(), anchors.count(), anchors.crl_count());
    let seen = if needed { counted } else { "not needed: no endorser has a certificate".to_owned() };
    report.add(Area::Trust, seen, trust::findings(path, &anchors, &problems, needed, Timestamp::now()));
}

/// qemu-img and what confines it: for clouds that do not take each format.
fn look_at_programs(directory: &Directory, report: &mut Report) {
    let needed = !directory.all::<CloudTarget>().is_empty();
    let programs = [("qemu-img", "qemu-utils"), ("prlimit", "util-linux"), ("setpriv", "util-linux")];
    let missing = programs.iter().filter(|(program, _)| find_program(Path::new(program)).is_none());
    let found = missing.map(|(program, package)| {
        let message = "expected the program in $PATH, found none: images cannot be converted for a cloud";
        let mend = format!("apt-get install {package}");
        let level = if needed { Finding::wrong } else { Finding::note };
        level(Area::Programs, program, message, mend)
    });
    report.add(Area::Programs, "qemu-img, prlimit, setpriv", found.collect());
}

async fn look_at_servers(
    operation: &Operation,
    directory: Directory,
    config: Config,
    report: &mut Report,
) -> anyhow::Result<()> {
    let (lists, clouds) = (directory.all::<ImageListSubscription>().len(), directory.all::<CloudTarget>().len());
    // The volume is not needed to ask servers. It may be one that this account cannot read.
    let (volume, _empty) = dry_run::empty_volume()?;
    let context = operation.context(directory, volume, Files::Allowed, config)?.dry_run();
    let found = servers::findings(&probe(&context, Timestamp::now).await);
    context.jobs.shutdown().await;
    let of = |area: Area| found.iter().filter(move |finding| finding.area == area).cloned().collect::<Vec<_>>();
    report.add(Area::Lists, format!("{lists} subscriptions"), of(Area::Lists));
    report.add(Area::Clouds, format!("{clouds} targets"), of(Area::Clouds));
    report.add(Area::Clock, "in comparison with the servers of lists", of(Area::Clock));
    Ok(())
}

async fn look_at_cluster(args: &Args, report: &mut Report) -> anyhow::Result<()> {
    look_at_trust(&args.operation, true, report);
    let (server, found) = match kube::Config::infer().await {
        Ok(cluster) => {
            let server = cluster.cluster_url.to_string();
            let client = counted(cluster, args.operation.monitor.metrics().clone());
            let client = client.context("cannot talk to the API server")?;
            let found = cluster::findings(client, &server, &args.namespace).await;
            (server, found)
        }
        Err(error) => {
            let message = format!("expected a kubeconfig, or to run in a pod, found: {error}");
            let mend = "KUBECONFIG=FILE; or --manifests DIR, without a cluster";
            ("none".to_owned(), vec![Finding::wrong(Area::Cluster, "$KUBECONFIG", message, mend)])
        }
    };
    report.add(Area::Cluster, server, found);
    Ok(())
}
