//! A site with a handler that was written for vmcatcher, and with a file sink.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{Command, Output};

use harness::site::Site;
use vmcatcher_operator::events::Event;

use crate::reconcile::process::operator;

pub(super) const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
pub(super) const B: &str = "aaaaaaaa-0000-4000-8000-000000000002";

/// It knows only what vmcatcher gave its handlers. It appends these variables and the digest of the image's file, and
/// fails if there is a file `refuse/<type>-<identifier>`, or `-none` for events without an image.
const HANDLER: &str = r#"#!/bin/sh
text=$(env | grep '^VMCATCHER_' | sort)
case "$VMCATCHER_EVENT_TYPE" in
Available* | ExpirePrefix) file="$VMCATCHER_CACHE_DIR_CACHE/$VMCATCHER_EVENT_FILENAME" ;;
ExpirePostfix) file="$VMCATCHER_CACHE_DIR_EXPIRE/$VMCATCHER_EVENT_FILENAME" ;;
*) file=/dev/null ;;
esac
digest=$(sha512sum <"$file" | cut -d' ' -f1)
printf -- '--- event\n%s\nDIGEST=%s\n' "$text" "$digest" >>"$SITE/handled"
refusal="$SITE/refuse/$VMCATCHER_EVENT_TYPE-${VMCATCHER_EVENT_DC_IDENTIFIER:-none}"
if test -e "$refusal"; then
	echo "it looks at $file"
	cat "$refusal"
	exit 7
fi
"#;

/// The variables that the handler was given, and `DIGEST`.
pub(super) type Variables = BTreeMap<String, String>;

/// A site whose events have sinks.
pub(super) struct Place {
    pub(super) site: Site,
}

impl Place {
    /// A site with a handler and a file sink.
    pub(super) fn new() -> Self {
        Self::over(Site::new())
    }

    /// The same over a site that is there.
    pub(super) fn over(site: Site) -> Self {
        let place = Self { site };
        fs::create_dir(place.site.path("refuse")).unwrap();
        let handler = place.site.path("handler");
        harness::program::write(&handler, HANDLER);
        place.configure(&[&place.handler_sink(), &place.file_sink()]);
        place
    }

    pub(super) fn handler_sink(&self) -> String {
        let (handler, folder) = (self.site.path("handler"), self.site.path(""));
        format!(
            "{{name: handler, exec: {{command: [{}], environment: {{SITE: {}}}}}}}",
            handler.display(),
            folder.display()
        )
    }

    pub(super) fn file_sink(&self) -> String {
        format!("{{name: log, file: {{path: {}}}}}", self.site.path("events.jsonl").display())
    }

    /// Writes the configuration file with these sinks.
    pub(super) fn configure(&self, sinks: &[&str]) {
        let sinks = sinks.iter().map(|sink| format!("\n  - {sink}")).collect::<Vec<_>>().concat();
        let sinks = if sinks.is_empty() { " []".to_owned() } else { sinks };
        fs::write(self.site.path("config.yaml"), format!("events:\n  sinks:{sinks}\n")).unwrap();
    }

    /// One run of the program.
    pub(super) fn command(&self) -> Command {
        operator(&self.site, &["--once", "--config", self.site.path("config.yaml").to_str().unwrap()])
    }

    /// One run of the program, and its exit code.
    pub(super) fn once(&self) -> Ran {
        let Output { status, stdout, stderr } = self.command().output().unwrap();
        let text = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        Ran { code: status.code(), text }
    }

    /// One run that ends well; what it announced to the handler and in the file.
    pub(super) fn good_run(&self) -> Announced {
        self.run_with(0)
    }

    /// One run that ends with this code.
    pub(super) fn run_with(&self, code: i32) -> Announced {
        let (handled, logged) = (self.handled().len(), self.logged().len());
        let ran = self.once();
        assert_eq!(ran.code, Some(code), "{}", ran.text);
        Announced {
            handled: self.handled().split_off(handled),
            logged: self.logged().split_off(logged),
            text: ran.text,
        }
    }

    /// The handler refuses events of this type of an image from now on.
    pub(super) fn refuse(&self, event_type: &str, identifier: &str, line: &str) {
        fs::write(self.site.path("refuse").join(format!("{event_type}-{identifier}")), line).unwrap();
    }

    /// It refuses them no more.
    pub(super) fn permit(&self, event_type: &str, identifier: &str) {
        fs::remove_file(self.site.path("refuse").join(format!("{event_type}-{identifier}"))).unwrap();
    }

    /// What the handler was given, in order.
    pub(super) fn handled(&self) -> Vec<Variables> {
        let text = fs::read_to_string(self.site.path("handled")).unwrap_or_default();
        let variable = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        text.split("--- event\n").skip(1).map(|event| event.lines().filter_map(variable).collect()).collect()
    }

    /// The lines of the file sink.
    pub(super) fn logged(&self) -> Vec<Event> {
        let text = fs::read_to_string(self.site.path("events.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The end of a run.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) code: Option<i32>,
    pub(super) text: String,
}

/// What a run announced.
#[derive(Debug)]
pub(super) struct Announced {
    pub(super) handled: Vec<Variables>,
    pub(super) logged: Vec<Event>,
    pub(super) text: String,
}

impl Announced {
    /// What the handler was given of an image: `<type> <version>`.
    pub(super) fn handled_of(&self, identifier: &str) -> Vec<String> {
        let of = self
            .handled
            .iter()
            .filter(|handled| handled.get("VMCATCHER_EVENT_DC_IDENTIFIER").is_some_and(|found| found == identifier));
        of.map(|event| format!("{} {}", event["VMCATCHER_EVENT_TYPE"], event["VMCATCHER_EVENT_HV_VERSION"])).collect()
    }

    /// What the handler was given that is about no image.
    pub(super) fn handled_of_none(&self) -> Vec<&str> {
        let of = self.handled.iter().filter(|handled| !handled.contains_key("VMCATCHER_EVENT_DC_IDENTIFIER"));
        of.map(|event| event["VMCATCHER_EVENT_TYPE"].as_str()).collect()
    }

    /// The one event of this type and image that the handler was given.
    pub(super) fn of(&self, event_type: &str, identifier: &str) -> &Variables {
        let mut of = self.handled.iter().filter(|handled| {
            handled["VMCATCHER_EVENT_TYPE"] == event_type
                && handled.get("VMCATCHER_EVENT_DC_IDENTIFIER").is_some_and(|found| found == identifier)
        });
        let found = of.next().unwrap_or_else(|| panic!("no {event_type} of {identifier}: {self:?}"));
        assert!(of.next().is_none(), "{event_type} of {identifier} came twice");
        found
    }

    /// The lines of the file.
    pub(super) fn lines(&self) -> Vec<String> {
        self.logged.iter().map(line).collect()
    }

    /// The lines of the file that are about this image.
    pub(super) fn lines_of(&self, identifier: &str) -> Vec<String> {
        of_image(&self.logged, identifier)
    }

    /// The lines that are about no image.
    pub(super) fn other_lines(&self) -> Vec<String> {
        self.logged.iter().filter(|event| event.image.is_none()).map(line).collect()
    }

    /// All that a run without work announces.
    pub(super) fn assert_only_process(&self) {
        assert_eq!(self.lines(), ["Process after"], "{self:?}");
        assert_eq!(self.handled_of_none(), ["ProcessPrefix", "ProcessPostfix"], "{self:?}");
        assert_eq!(self.handled.len(), 2, "{self:?}");
    }
}

/// `<event> <phase>`, with the target and the version if it has them.
pub(super) fn line(event: &Event) -> String {
    let target = event.target.iter().map(|target| format!(" at {target}"));
    let version = event.image.iter().map(|image| format!(" {}", image.version));
    format!("{} {}{}", event.event, event.phase, target.chain(version).collect::<String>())
}

/// The events of an image, each identity once.
pub(super) fn of_image(events: &[Event], identifier: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let is_of = |event: &&Event| event.image.as_ref().is_some_and(|image| image.identifier == identifier);
    events.iter().filter(is_of).filter(|event| seen.insert(event.id)).map(line).collect()
}
