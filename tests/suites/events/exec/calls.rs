//! What a handler is given: arguments, environment, standard input, directory, open files.

use std::collections::BTreeMap;
use std::fs::File;

use vmcatcher_operator::events::{ExecSink, Verdict, environment};

use super::*;

/// Text that a shell, a quoting or a line-wise reader would change.
const ODD: &str = " a  b\"c'd\\e\n$(touch /nothing) `x` * é\t;&|\n";

fn odd_event() -> Event {
    let mut event = before();
    let image = event.image.as_mut().unwrap();
    ODD.clone_into(&mut image.title);
    image.description = format!("{ODD}{ODD}");
    ODD.clone_into(&mut event.object.as_mut().unwrap().name);
    event.target = Some(ODD.to_owned());
    event.message = Some(ODD.to_owned());
    event
}

#[tokio::test]
async fn arguments_go_as_they_are() {
    let site = Site::new();
    let path = site.add("handler", "printf '%s\\0' \"$@\" > \"$OUT/arguments\"");
    let arguments = || {
        let written = std::fs::read_to_string(site.out("arguments")).unwrap();
        written.split_terminator('\0').map(str::to_owned).collect::<Vec<_>>()
    };
    let name = format!("site/{ODD}");
    assert_eq!(site.sink(LONG).ask(&odd_event()).await, Verdict::Passed);
    assert_eq!(arguments(), ["CachedImage", &name, "Available", "before", ODD]);
    let words = [path.to_str().unwrap(), "$(first)", "sec ond"];
    assert_eq!(site.command(&words, LONG).ask(&event(1, "Process", "before")).await, Verdict::Passed);
    assert_eq!(arguments(), ["$(first)", "sec ond", "CachedImage", "site/image", "Process", "before"]);
}

#[tokio::test]
async fn a_command_without_a_slash_is_searched_in_path() {
    let site = Site::new();
    assert_eq!(site.command(&["sh", "-c", "exit 0"], LONG).ask(&before()).await, Verdict::Passed);
    assert_eq!(veto(site.command(&["false"], LONG).ask(&before()).await), "it ended with status 1");
}

#[tokio::test]
async fn the_environment_has_what_is_documented_and_nothing_else() {
    assert!(std::env::vars_os().count() > 4, "this process has variables that could leak");
    let site = Site::new();
    site.add("handler", "cat /proc/$$/environ > \"$OUT/environment\"");
    let mut settings = site.settings(Handlers::Directory(site.handlers()), LONG);
    settings.environment.insert("SITE".to_owned(), ODD.to_owned());
    settings.environment.insert("PATH".to_owned(), "/usr/bin:/bin".to_owned());
    settings.environment.insert("VMCATCHER_EVENT_TYPE".to_owned(), "another".to_owned());
    let event = odd_event();
    assert_eq!(ExecSink::new(settings, directories()).ask(&event).await, Verdict::Passed);

    let written = std::fs::read_to_string(site.out("environment")).unwrap();
    let variable = |text: &str| text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap();
    let written: BTreeMap<String, String> = written.split_terminator('\0').map(variable).collect();
    let of_event = environment(&event, &directories());
    let mut expected: BTreeMap<String, String> =
        of_event.into_iter().map(|(name, value)| (name, value.into_string().unwrap())).collect();
    assert_eq!(expected["VMCATCHER_EVENT_DC_TITLE"], ODD);
    assert_eq!(expected["VMCATCHER_EVENT_TYPE"], "AvailablePrefix");
    let home = std::env::var("HOME").ok().filter(|home| !home.is_empty()).unwrap_or_else(|| "/".to_owned());
    let base = [
        ("HOME", home),
        ("LANG", "C.UTF-8".to_owned()),
        ("PATH", "/usr/bin:/bin".to_owned()),
        ("OUT", site.out("").display().to_string()),
        ("SITE", ODD.to_owned()),
    ];
    expected.extend(base.map(|(name, value)| (name.to_owned(), value)));
    expected.extend(std::env::var("TZ").ok().filter(|zone| !zone.is_empty()).map(|zone| ("TZ".to_owned(), zone)));
    assert_eq!(written, expected);
}

#[tokio::test]
async fn the_largest_event_can_be_given() {
    let site = Site::new();
    site.add("handler", "printf %s \"$VMCATCHER_EVENT_DC_DESCRIPTION\" | wc -c > \"$OUT/size\"");
    let mut event = before();
    let image = event.image.as_mut().unwrap();
    let long = "é".repeat(1 << 20);
    for text in [&mut image.title, &mut image.description, &mut image.comments, &mut image.uri, &mut image.os] {
        text.clone_from(&long);
    }
    (event.target, event.message) = (Some(long.clone()), Some(long));
    assert_eq!(site.sink(LONG).ask(&event).await, Verdict::Passed);
    assert_eq!(site.written("size").trim(), "16384");
}

/// Whether this process got a file open from its own parent, for all programs that follow.
fn is_handed_down(file: &str) -> bool {
    let information = std::fs::read_to_string(format!("/proc/self/fdinfo/{file}")).unwrap_or_default();
    let flags = information.lines().find_map(|line| u32::from_str_radix(line.strip_prefix("flags:")?.trim(), 8).ok());
    ["0", "1", "2"].contains(&file) || flags.is_some_and(|flags| flags & 0o2_000_000 == 0)
}

#[tokio::test]
async fn input_is_empty_the_directory_is_the_root_and_no_file_is_inherited() {
    let site = Site::new();
    let _open = File::create(site.out("open")).unwrap();
    let script = "cat > \"$OUT/input\"\npwd > \"$OUT/directory\"\nexec ls -l /proc/self/fd > \"$OUT/files\"";
    assert_eq!(site.asked(script, LONG).await, Verdict::Passed);
    assert_eq!(std::fs::read(site.out("input")).unwrap(), b"");
    assert_eq!(site.written("directory"), "/");
    let files = site.written("files");
    assert!(files.contains(" 0 -> /dev/null") && files.contains(" 1 -> "), "{files}");
    let folder = site.folder.path();
    let is_opened = |(name, file): &(&str, &str)| {
        // OpenSSL opens files without `O_CLOEXEC`, and another test may be at it.
        let is_foreign = Path::new(file).is_file() && !Path::new(file).starts_with(folder);
        let number = name.rsplit(' ').next().unwrap();
        !is_foreign && (file.starts_with("/proc/") || !is_handed_down(number))
    };
    let links = files.lines().filter_map(|line| line.rsplit_once(" -> "));
    let opened: Vec<_> = links.filter(is_opened).collect();
    assert_eq!(opened.len(), 1, "only the folder that ls reads: {files}");
}
