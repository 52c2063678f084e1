//! `progress`: shows the running work of an operator, which it answers at the address of `--listen`, or sends to a broker.

mod broker;
mod client;
mod view;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use url::Url;

use self::client::{Client, ClientError};
use self::view::View;
use super::operation::stop;
use super::{WRONG_USE, config};
use crate::events::{AmqpSettings, Phase, SinkKind};
use crate::serve::ProgressPage;

/// How often the operator is asked.
const EVERY: Duration = Duration::from_secs(1);

/// Arguments of `progress`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The address that the operator's option --listen has
    #[arg(long, value_name = "URL", env = "VMCATCHER_PROGRESS_URL", default_value = "http://127.0.0.1:9090", value_parser = address)]
    url: Url,
    /// Show what runs now, and end
    #[arg(long)]
    once: bool,
    /// Take the progress from the broker of this amqp sink instead, which has the phase progress
    #[arg(long, value_name = "NAME", requires = "config", conflicts_with_all = ["url", "once"])]
    sink: Option<String>,
    /// The configuration file with the sink
    #[arg(long, value_name = "FILE", env = "VMCATCHER_CONFIG")]
    config: Option<PathBuf>,
}

/// Shows the running work until SIGINT or SIGTERM: bars on a terminal, else one line of JSON for each change.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if let (Some(sink), Some(file)) = (&args.sink, &args.config) {
        let Some(settings) = settings(sink, file)? else { return Ok(ExitCode::from(WRONG_USE)) };
        let view = View::new(std::io::stdout().is_terminal());
        return runtime.block_on(broker::follow(&settings, view)).map(|()| ExitCode::SUCCESS);
    }
    runtime.block_on(async {
        let client = Client::new(&args.url)?;
        let terminal = std::io::stdout().is_terminal();
        if args.once {
            view::show_once(&client.page().await?, terminal)?;
        } else {
            follow(&client, View::new(terminal)).await?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// The settings of an amqp sink. `None` if the file or the name is wrong; what is wrong is logged then.
fn settings(sink: &str, file: &Path) -> anyhow::Result<Option<AmqpSettings>> {
    let Some(config) = config::read_valid(file)? else { return Ok(None) };
    let found = config.events.sinks.into_iter().find(|one| one.name.as_str() == sink);
    match found.map(|one| (one.filter.phases.contains(&Phase::Progress), one.kind)) {
        Some((true, SinkKind::Amqp(settings))) => Ok(Some(settings)),
        Some((false, SinkKind::Amqp(_))) => {
            tracing::error!("{}: expected the phase progress in the sink {sink}, found others only", file.display());
            Ok(None)
        }
        Some(_) | None => {
            tracing::error!("{}: expected an amqp sink {sink}, found none", file.display());
            Ok(None)
        }
    }
}

/// Follows an operator over its restarts. Fails only if it does not answer at the beginning.
async fn follow(client: &Client, mut view: View) -> anyhow::Result<()> {
    let mut stop = pin!(stop()?);
    let (mut answered, mut waits) = (false, false);
    loop {
        let page: Result<ProgressPage, ClientError> = tokio::select! {
            () = &mut stop => break,
            page = client.page() => page,
        };
        match page {
            Ok(page) => {
                if waits {
                    tracing::info!("the operator answers");
                }
                (answered, waits) = (true, false);
                if !view.show(&page)? {
                    break;
                }
            }
            Err(error) if answered || error.is_passing() => {
                if !waits {
                    tracing::warn!("{error}; waiting");
                }
                waits = true;
            }
            Err(error) => return Err(error.into()),
        }
        tokio::select! {
            () = &mut stop => break,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
    view.clear();
    Ok(())
}

/// Parser for the address: `http` or `https`, without user, password, query and fragment.
fn address(text: &str) -> Result<Url, String> {
    let expected = "expected an address such as http://127.0.0.1:9090";
    let url: Url = text.parse().map_err(|error| format!("{expected}: {error}"))?;
    let is_plain = url.username().is_empty() && url.password().is_none();
    let ends = url.query().is_none() && url.fragment().is_none();
    let is_http = matches!(url.scheme(), "http" | "https") && url.has_host();
    if is_http && is_plain && ends { Ok(url) } else { Err(format!("{expected}, without user, password and query")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_no_secret_and_no_query() {
        for good in ["http://127.0.0.1:9090", "https://host/operator/", "http://[::1]:1"] {
            assert!(address(good).is_ok(), "{good}");
        }
        for bad in ["127.0.0.1:9090", "ftp://host", "http://a:b@host", "http://host?a", "http://host#a", "http://", ""]
        {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
