//! A folder under examples/: its manifests, and the commands of its README.

use std::fs;
use std::path::Path;

use super::super::operator::Tenant;
use super::examples;

/// An example, with what a test's site has in the places of what the example's has.
pub(super) struct Example<'t> {
    tenant: &'t Tenant<'static>,
    name: String,
    manifests: String,
    readme: String,
}

impl<'t> Example<'t> {
    /// The example of this name.
    pub(super) fn new(tenant: &'t Tenant<'static>, name: &str) -> Self {
        let folder = examples().join(name);
        let readme = fs::read_to_string(folder.join("README.md")).unwrap();
        let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
        files.sort();
        let texts: Vec<String> = files.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
        Self { tenant, name: name.to_owned(), manifests: texts.join("---\n"), readme }
    }

    /// Whether its manifests hold a text.
    pub(super) fn says(&self, text: &str) -> bool {
        self.manifests.contains(text)
    }

    /// What stands in the manifests gives way to what this site has. It has to stand there.
    pub(super) fn with(mut self, theirs: &str, ours: &str) -> Self {
        assert!(self.says(theirs), "examples/{}: expected {theirs:?} in its manifests", self.name);
        self.manifests = self.manifests.replace(theirs, ours);
        self
    }

    /// `kubectl apply` of its manifests.
    pub(super) fn apply(&self) -> String {
        assert!(!self.manifests.is_empty(), "examples/{}: expected a manifest", self.name);
        let path = self.tenant.site.path(&format!("{}.yaml", self.name));
        fs::write(&path, &self.manifests).unwrap();
        self.tenant.kubectl(&["apply", "-f", path.to_str().unwrap()])
    }

    /// Runs the command of its README that holds a text, and returns what it prints. There has to be exactly one.
    pub(super) fn run(&self, text: &str) -> String {
        self.run_in(&self.tenant.site.path(""), text)
    }

    /// The same in a folder.
    pub(super) fn run_in(&self, folder: &Path, text: &str) -> String {
        let commands: Vec<String> =
            commands(&self.readme).into_iter().filter(|command| command.contains(text)).collect();
        let [command] = commands.as_slice() else {
            panic!("examples/{}/README.md: expected one command with {text:?}, found {commands:?}", self.name);
        };
        let operator = Path::new(env!("CARGO_BIN_EXE_operator"));
        let programs = [("vmcatcher-operator", operator)];
        let output = self.tenant.plane.shell(&self.tenant.namespace, &programs, folder, command);
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// The commands of a page: its indented lines, those that end in a backslash with those that follow.
fn commands(page: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for line in page.lines().filter_map(|line| line.strip_prefix("    ")) {
        match found.last_mut().filter(|last| last.ends_with('\\')) {
            Some(last) => {
                last.push('\n');
                last.push_str(line);
            }
            None => found.push(line.to_owned()),
        }
    }
    found
}
