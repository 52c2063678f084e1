//! Debian's Prometheus, which `tests/get-promtool` gets: it scrapes a program, evaluates rules, and answers queries.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

/// A running Prometheus with one job. Dropped, it is killed, and its data is removed.
pub(super) struct Prometheus {
    process: Child,
    base: String,
    client: reqwest::Client,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    /// Starts one that scrapes `targets` (host and port) as this job each second, and evaluates a file's groups of rules.
    pub(super) fn start(job: &str, targets: &[&str], rules: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rules.yaml");
        std::fs::write(&file, format!("groups:\n{rules}")).unwrap();
        let config = json!({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [file],
            // As the chart's ServiceMonitor and PodMonitor say.
            "scrape_configs": [{"job_name": job, "honor_labels": true, "static_configs": [{"targets": targets}]}],
        });
        let path = folder.path().join("prometheus.yaml");
        std::fs::write(&path, config.to_string()).unwrap();
        let mut command = Command::new(program());
        command.arg("--config.file").arg(&path).arg("--storage.tsdb.path").arg(folder.path().join("data"));
        command.args(["--web.listen-address", "127.0.0.1:0"]).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("prometheus runs: tests/get-promtool");
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = log.by_ref().find_map(|line| {
            let line = line.unwrap();
            line.split_once("msg=\"Listening on\" address=").map(|(_, address)| address.trim().to_owned())
        });
        let base = format!("http://{}", address.expect("it listens"));
        // It writes more, which is not read: a full pipe would hold it.
        std::thread::spawn(move || log.for_each(drop));
        Self { process, base, client: reqwest::Client::new(), _folder: folder }
    }

    async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
        let url = reqwest::Url::parse_with_params(&format!("{}/api/v1/{path}", self.base), parameters).unwrap();
        let answer = self.client.get(url).send().await.unwrap().text().await.unwrap();
        // Until it is ready, it answers with a text.
        let answer: Value = serde_json::from_str(&answer).map_err(|_| answer)?;
        if answer["status"] == "success" { Ok(answer["data"].clone()) } else { Err(answer["error"].to_string()) }
    }

    /// The result of an expression now: one object for each series. The error is that of Prometheus.
    pub(super) async fn query(&self, expression: &str) -> Result<Vec<Value>, String> {
        let data = self.get("query", &[("query", expression)]).await?;
        Ok(data["result"].as_array().unwrap().clone())
    }

    /// The rules with their state, health and last error. Empty until it is ready.
    pub(super) async fn rules(&self) -> Vec<Value> {
        let Ok(data) = self.get("rules", &[]).await else { return Vec::new() };
        data["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _waited = self.process.wait();
    }
}

/// Where the program is.
fn program() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".cache")));
    cache.expect("HOME is set").join("vmcatcher-operator/promtool/prometheus")
}
