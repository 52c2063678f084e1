//! The page "From vmcatcher": each of its tables is complete, and each line of them is tried with the program.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use harness::site::LIST;
use serde_json::Value;

use super::old::{AGES, Machine, ONE, Ran};

/// The options of each command of the original, as its `--help` has them, with the variables that set them.
const ORIGINAL: [(&str, &str); 6] = [
    (
        "All commands",
        "-d --database -v --verbose -q --quiet --log-config --log-sql-info --version --help VMCATCHER_RDBMS VMCATCHER_LOG_CONF",
    ),
    (
        "vmcatcher_endorser",
        "-l --list -K --links -C --create -D --delete -k --link -u --unlink -i --info -e --endorser_uuid -s \
         --subscription_uuid --dn -S --subject -I --issuer -f --format",
    ),
    (
        "vmcatcher_subscribe",
        "-l --list -s --subscribe -U --update -D --delete -i --info -o --output --image-list --image-accept \
         --image-refuse --uri-trustanchor-set --uri-username-set --uri-username-clear --uri-password-set \
         --uri-password-clear --imagelist-newimage-refuse --imagelist-newimage-accept --imagelist-newimage-subscribe -u \
         --uuid -r --uri -e --auto-endorse -c --cert-dir VMCATCHER_DIR_CERT -f --format VMCATCHER_OUTPUT_FORMAT -x \
         --execute VMCATCHER_SUB_EVENT",
    ),
    (
        "vmcatcher_image",
        "-l --list -a --add -r --remove -i --info -o --output -u --uuid -s --sha512 -f --format -c --cert-dir -L --logfile",
    ),
    (
        "vmcatcher_cache",
        "-D --download -E --expire -s --sha512 -C --cache-dir -p --partial-dir -e --expired-dir -x --execute \
         VMCATCHER_CACHE_ACTION_DOWNLOAD VMCATCHER_CACHE_ACTION_EXPIRE VMCATCHER_CACHE_ACTION_CHECK \
         VMCATCHER_CACHE_DIR_CACHE VMCATCHER_CACHE_DIR_DOWNLOAD VMCATCHER_CACHE_DIR_EXPIRE VMCATCHER_CACHE_EVENT",
    ),
    ("vmcatcher_eventHndlExpl", "--output_file --generator --datetime --log-config"),
];

/// The events of the original, with the earlier spelling of one of them.
const EVENTS: &str = "ProcessPrefix ProcessPostfix ExpirePrefix ExpirePostfix ExpirePosfix AvailablePrefix AvailablePostfix \
                      SubscriptionImageNew";

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/from-vmcatcher.md")).unwrap()
}

/// The rows of the table below a heading: the code in the first column, and that in the second.
fn table(page: &str, heading: &str) -> Vec<[Vec<String>; 2]> {
    let (_, below) = page.split_once(&format!("# {heading}\n")).unwrap_or_else(|| panic!("no heading {heading}"));
    let code = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let lines = below.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let rows = lines.skip(2).map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
        assert_eq!(cells.len(), 2, "{line}");
        [code(cells[0]), code(cells[1])]
    });
    rows.collect()
}

fn words(text: &str) -> BTreeSet<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn the_tables_have_all_that_the_original_has() {
    let page = page();
    for (heading, options) in ORIGINAL.iter().chain(&[("Events", EVENTS)]) {
        let told: BTreeSet<String> = table(&page, heading).into_iter().flat_map(|[first, _]| first).collect();
        let expected = words(options);
        assert_eq!(told, expected, "{heading}");
    }
}

/// A site that has moved in and has run once; the program runs in it as the page says, with the folders in the environment.
fn moved() -> Machine {
    let machine = Machine::new(AGES[4]);
    assert_eq!(machine.import_with_images().code, Some(0));
    let ran = run(&machine, &["reconcile", "--once"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    machine
}

fn run(machine: &Machine, arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_operator"));
    for (variable, folder) in
        [("VMCATCHER_MANIFESTS", "manifests"), ("VMCATCHER_VOLUME", "volume"), ("VMCATCHER_TRUST", "trust")]
    {
        command.env(variable, machine.site.path(folder));
    }
    // `list verify` and `endorser` take the trust directory as an option only.
    if ["verify", "from-list"].iter().any(|word| arguments.contains(word)) && arguments[0] != "cache" {
        command.args(arguments).arg("--trust").arg(machine.site.path("trust")).output().unwrap().into()
    } else {
        command.args(arguments).output().unwrap().into()
    }
}

/// Each command in the second columns ends well on a site that has moved in.
#[test]
fn each_command_that_takes_a_place_does_its_work() {
    let (page, machine) = (page(), moved());
    let (address, volume) = (machine.site.server.url("/image.list"), machine.site.path("volume").display().to_string());
    let mut seen = 0;
    for [_, here] in ORIGINAL.iter().flat_map(|(heading, _)| table(&page, heading)) {
        for command in here.iter().filter_map(|code| code.strip_prefix("vmcatcher-operator ")) {
            let words: Vec<&str> = command
                .split_whitespace()
                .map(|word| match word {
                    "ID" => ONE,
                    "LIST" => LIST,
                    "ADDRESS" => &address,
                    "VOLUME" => &volume,
                    "NAME" if command.starts_with("get endorser") => "predrag-buncic",
                    "NAME" => "a-new-one",
                    word => word,
                })
                .collect();
            let ran = run(&machine, &words);
            assert_eq!(ran.code, Some(0), "{command}: {ran:?}");
            assert!(!ran.shown.is_empty(), "{command} says something");
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen} commands");
}

/// Each option in the second columns is one of the command before it, and each field is one of the kind before it.
#[test]
fn each_option_and_field_that_takes_a_place_is_there() {
    let (page, machine) = (page(), Machine::new(AGES[4]));
    fs::create_dir(machine.site.path("crds")).unwrap();
    let definitions = run(&machine, &["crds", "--output", machine.site.path("crds").to_str().unwrap()]);
    assert_eq!(definitions.code, Some(0), "{definitions:?}");
    let (mut options, mut fields) = (0, 0);
    let headings = ORIGINAL.iter().map(|(heading, _)| *heading).chain(["Folders and files"]);
    for [_, here] in headings.flat_map(|heading| table(&page, heading)) {
        for code in &here {
            if let Some((command, option)) = code.split_once(" --").filter(|_| !code.starts_with("vmcatcher-operator"))
            {
                let words: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
                let help = run(&machine, &words);
                let has = help.shown.split_whitespace().any(|word| word.trim_end_matches('.') == format!("--{option}"));
                assert!(help.code == Some(0) && has, "{code}: {}", help.shown);
                options += 1;
            } else if let Some((kind, path)) = code.split_once(" spec.") {
                assert!(has_field(&machine, kind, path), "{code}");
                fields += 1;
            }
        }
    }
    assert!(options > 10 && fields > 15, "{options} options, {fields} fields");
}

/// Whether the definition of a kind has a field; a list on the path means its items.
fn has_field(machine: &Machine, kind: &str, path: &str) -> bool {
    let files = fs::read_dir(machine.site.path("crds")).unwrap().map(|file| file.unwrap().path());
    let read = |path| serde_yaml::from_str::<Value>(&fs::read_to_string(path).unwrap()).unwrap();
    let definition = files.map(read).find(|definition| definition["spec"]["names"]["kind"] == kind).unwrap();
    let mut schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    for field in path.split('.') {
        let items = &schema["items"];
        schema = &(if items.is_object() { items } else { schema })["properties"][field];
    }
    schema.is_object()
}

/// Each event in the second column can be named by a sink in that phase; the file is that of the page on handlers.
#[test]
fn each_event_can_be_subscribed_to() {
    let (page, machine) = (page(), Machine::new(AGES[4]));
    let rows = table(&page, "Events");
    assert!(rows.len() >= 7);
    for [_, here] in rows {
        let [event, phase] = here.try_into().unwrap();
        let file = machine.site.path("configuration.yaml");
        let sink = format!(
            "events:\n  sinks:\n    - name: handler\n      events: [{event}]\n      phases: [{phase}]\n      exec: {{command: \
             [/bin/true]}}\n"
        );
        fs::write(&file, sink).unwrap();
        let ran = run(&machine, &["config", "check", file.to_str().unwrap()]);
        assert!(ran.code == Some(0) && ran.shown.contains(&event), "{event} {phase}: {ran:?}");
    }
}

/// A handler gets each variable of the table, by a run after the import.
#[test]
fn each_variable_reaches_a_handler() {
    let (page, machine) = (page(), Machine::new(AGES[4]));
    let mut list: Value = serde_json::from_slice(&machine.site.list("1.1", &[&machine.images[0]]).json()).unwrap();
    list["hv:imagelist"]["ad:vo"] = "atlas".into();
    let image = &mut list["hv:imagelist"]["hv:images"][0]["hv:image"];
    image["ad:mpuri"] = "https://appdb.example.org/store/vm/image/1/".into();
    image["hv:format"] = "raw".into();
    image["sl:comments"] = "a comment".into();
    let signed = harness::signer::sign(
        &serde_json::to_vec(&list).unwrap(),
        &machine.site.pki.endorser,
        harness::signer::Form::Detached,
    );
    machine.site.publish_message(&signed);
    assert_eq!(machine.import_with_images().code, Some(0));
    let (file, told) = (machine.site.path("configuration.yaml"), machine.site.path("told"));
    let sink = format!(
        "events:\n  sinks:\n    - name: handler\n      events: [Available]\n      phases: [after]\n      exec: {{command: \
         [/bin/sh, -c, 'env > {}']}}\n",
        told.display()
    );
    fs::write(&file, sink).unwrap();
    let ran = run(&machine, &["reconcile", "--once", "--config", file.to_str().unwrap()]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let environment = fs::read_to_string(told).unwrap();
    let named: Vec<String> = table(&page, "Variables of events").into_iter().flat_map(|[first, _]| first).collect();
    assert!(named.len() > 18, "{named:?}");
    for variable in named {
        assert!(environment.lines().any(|line| line.starts_with(&format!("{variable}="))), "{variable}: {environment}");
    }
}

/// The folders of the second column are on the volume after a run.
#[test]
fn each_folder_is_made_by_a_run() {
    let (page, machine) = (page(), moved());
    let mut seen = BTreeSet::new();
    for [_, here] in table(&page, "Folders and files") {
        for folder in here.iter().filter(|code| code.chars().all(|c| c.is_ascii_lowercase() || "/<>-.".contains(c))) {
            let top = folder.split('/').next().unwrap_or_default();
            if top != "default" {
                assert!(machine.site.path("volume").join(top).is_dir(), "{folder}");
                seen.insert(top.to_owned());
            }
        }
    }
    assert_eq!(seen, words("endorsed partial expired blobs lists state scratch"));
    assert_eq!(machine.site.shelf("endorsed"), [machine.images[0].entry()]);
}

/// The steps of the move, word by word, with the folders of the site in place of those of the page.
#[test]
fn the_move_is_done_by_the_words_of_the_page() {
    let machine = Machine::new(AGES[4]);
    let path = |name: &str| machine.site.path(name).display().to_string();
    let page = page();
    let (_, steps) = page.split_once("## The move, step by step").unwrap();
    let (steps, _) = steps.split_once("### Going back").unwrap();
    let code: Vec<&str> = steps.split("   ```\n").skip(1).step_by(2).collect();
    let script = code.concat();
    let mine = |line: &&str| line.trim().starts_with("vmcatcher-operator ") || line.trim().starts_with("export ");
    let lines: Vec<String> = script
        .lines()
        .filter(mine)
        .map(|line| {
            line.trim()
                .replace("/var/lib/vmcatcher/vmcatcher.db", &path("vmcatcher.db"))
                .replace("/var/cache/vmimages/endorsed", &path("cache"))
                .replace("/var/cache/vmimages/expired", &path("cache/expired"))
                .replace("/etc/vmcatcher-operator/manifests", &path("manifests"))
                .replace("/var/lib/vmcatcher-operator", &path("volume"))
                .replace("vmcatcher-operator ", &format!("{} ", env!("CARGO_BIN_EXE_operator")))
        })
        .collect();
    assert!(lines.len() > 6, "{lines:#?}");
    let left = || ["vmcatcher.db", &format!("cache/{ONE}")].map(|name| fs::read(machine.site.path(name)).unwrap());
    let before = left();
    let script = format!("set -e -u\nexport VMCATCHER_TRUST={}\n{}\n", path("trust"), lines.join("\n"));
    let ran: Ran = Command::new("sh").args(["-c", &script]).output().unwrap().into();
    assert_eq!(ran.code, Some(0), "{script}\n{ran:?}");
    assert_eq!(machine.site.shelf("endorsed"), [machine.images[0].entry()]);
    assert_eq!(machine.site.server.bytes_sent(&format!("/{ONE}-1.26-13.img")), 0);
    assert!(left() == before, "the way back is open");
}
