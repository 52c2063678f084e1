//! What the stand-in must be told to replay recordings, and which of them it does not replay.

use std::collections::BTreeMap;

use harness::opennebula::{Datastore, Dialect, Due, File, Group, Image, Lock, State, World, decode_call};
use vmcatcher_operator::opennebula::document;
use vmcatcher_operator::opennebula::xmlrpc::{Answer, Value, decode_answer};
use vmcatcher_operator::xml::{Element, Limits, each_child, parse};

use super::Recording;

const LIMITS: Limits = Limits { depth: 12, elements: 100_000 };

/// Users, groups, datastores and files as the recorded servers had them.
pub(super) fn setting(dialect: Dialect, recordings: &[Recording]) -> World {
    let mut world = World::new(dialect);
    // A group made bare: without the rule by which its members create images.
    world.groups.insert(100, Group { id: 100, name: "sites".to_owned() });
    for (id, name, gid) in [(2, "alice", 1), (3, "bob", 1), (4, "carol", 100), (5, "deputy", 0)] {
        world.add_user(id, name, &format!("{name}pw"), gid);
    }
    world.users.get_mut(&2).unwrap().groups.insert(100);
    world.any_file = None;
    world.copy_seconds = None;
    world.removal_seconds = 1_000_000;
    for (image, _) in recordings.iter().flat_map(documents) {
        let (size_mb, format) = (image.size_mb, image.format.clone());
        let file = world.files.entry(image.path).or_insert(File { size_mb, ..File::default() });
        if file.format.is_empty() {
            file.format = format;
        }
    }
    world.files.insert("/srv/one/files/empty.img".to_owned(), File::default());
    for name in ["noctlen/small.raw", "small.raw.gz"] {
        let unreadable = Some("Unsupported remote image format".to_owned());
        world.files.insert(format!("http://127.0.0.1:18633/{name}"), File { unreadable, ..File::default() });
    }
    let qcow2 = world.files.get_mut("/srv/one/files/small.qcow2").unwrap();
    qcow2.sha1 = Some("64484ab2a34a0d971acb3dc323ab67a3d00fb7cc".to_owned());
    qcow2.md5 = Some("b022afab3da5b84344a3b665ac220e61".to_owned());
    world
}

/// Why an exchange is not compared, if it is not.
pub(super) fn left_out(recording: &Recording) -> Option<&'static str> {
    let Recording { name, method, response, .. } = recording;
    let others = ["one.user.", "one.group.", "one.datastore.", "one.hook"];
    let used = ["one.user.info", "one.userpool.info", "one.grouppool.info", "one.datastorepool.info"];
    if others.iter().any(|other| method.starts_with(other)) && !used.contains(&method.as_str()) {
        return Some("a call that is not used here");
    }
    if method == "(raw)" && name.starts_with("malformed") {
        return Some("texts of another XML parser");
    }
    if response.contains(" at line ") || response.contains("Parse error") {
        return Some("line numbers that are not initialised, and words of another parser");
    }
    match name.trim_end_matches("__info_after") {
        "image_allocate_gz_nodecomp" | "image_allocate_ova_nodecomp" | "image_allocate_http_ova" => {
            Some("what a driver finds in archives, which are never handed over")
        }
        "image_allocate_quotes_in_value" | "image_allocate_backslash_value" | "image_allocate_attr_name_colon_xml" => {
            Some("vectors, escapes and namespaces of templates, which are never written")
        }
        "image_allocate_qcow2_into_ds_driver_qcow2" | "image_allocate_vmdk_into_ds_driver_qcow2" => {
            Some("what a datastore with a DRIVER of its own converts to")
        }
        "image_allocate_no_space_skip_check_admin" => Some("the capacity flag, which is never sent"),
        "image_lock_test_flag_already_locked" => Some("a time"),
        "image_info_after_colon_attr" => Some("namespaces of templates, which are never written"),
        _ => None,
    }
}

/// What happened since the exchange before: images made between recordings are taken from the next document that shows
/// them, or from what the answer says of them; copies and removals end when the recording says so.
pub(super) fn before(world: &mut World, recordings: &[Recording], at: usize) {
    let recording = &recordings[at];
    let Ok((method, parameters)) = decode_call(&recording.request) else { return };
    match recording.name.as_str() {
        "user_quota_alice" => {
            world.users.values_mut().for_each(|user| user.umask = None);
            world.users.get_mut(&2).unwrap().image_quota = Some(4);
        }
        // The server was restarted while it copied; a VM was started.
        "image_delete_stuck_locked_after_restart" => {
            appear(world, &[], 138, None);
            world.image(138).state = State::Locked;
            world.image(138).source.clear();
        }
        "image_disable_old_in_use" => {
            appear(world, &[], 139, None);
            world.start_vm(139, 1);
        }
        "image_clone_as_alice" => world.images.values_mut().for_each(|image| image.permissions |= 0o4),
        _ => {}
    }
    for (image, _) in documents(recording) {
        // A state that no call in the recordings brought about.
        if recording.name.starts_with("state_") || recording.name.starts_with("image_info_") {
            world.images.insert(image.id, image);
        } else {
            follow(world, &image);
        }
    }
    if !method.starts_with("one.image.") || recording.name.starts_with("malformed") {
        return;
    }
    let named = parameters.get(1).and_then(|id| match id {
        Value::Integer(id) => u32::try_from(*id).ok(),
        _ => None,
    });
    match decode_answer(&recording.response) {
        Ok(Answer::Success(Value::Integer(id))) if named.is_none() || method == "one.image.clone" => {
            world.next_image = u32::try_from(id).unwrap();
            if let Some(id) = named {
                appear(world, &recordings[at..], id, None);
            }
        }
        Ok(Answer::Success(_)) => {
            let Some(id) = named else { return };
            let unseen = !world.images.contains_key(&id);
            appear(world, &recordings[at..], id, None);
            if let (true, Some(Value::Text(session))) = (unseen, parameters.first()) {
                // What succeeded on an image that no recording shows was done by its owner.
                let caller = world.users.values().find(|user| session.starts_with(&user.name)).unwrap();
                let (uid, gid) = (caller.id, caller.gid);
                (world.image(id).uid, world.image(id).gid) = (uid, gid);
            }
        }
        Ok(Answer::Failure(failure)) if failure.code == 256 => {}
        Ok(Answer::Failure(failure)) if failure.code == 1024 && failure.object == named.map(i64::from) => {
            named.map(|id| world.images.remove(&id));
        }
        Ok(Answer::Failure(failure)) => {
            if let Some(id) = named {
                appear(world, &recordings[at..], id, None);
            }
            if let Some(holder) = holder(&failure.text) {
                let name = sought(world, &method, &parameters, named);
                let name = failure.text.split(" with NAME ").nth(1).unwrap_or(&name).to_owned();
                appear(world, &recordings[at..], holder, Some(&name));
                if method == "one.image.allocate" {
                    world.image(holder).uid = 0; // all of these were asked by oneadmin
                }
                if let ("one.image.chown", Some(id), Some(Value::Integer(uid))) =
                    (method.as_str(), named, parameters.get(2))
                {
                    world.image(holder).uid = u32::try_from(*uid).unwrap();
                    world.image(id).name = name;
                }
            }
        }
        _ => {}
    }
}

/// The image that a refusal says has the name.
fn holder(text: &str) -> Option<u32> {
    let words = ["taken by IMAGE ", "collides with image ", "already owns image ["];
    let after = words.iter().find_map(|words| text.split(words).nth(1))?;
    after.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The name that a refused call was about.
fn sought(world: &World, method: &str, parameters: &[Value], named: Option<u32>) -> String {
    match (method, parameters) {
        ("one.image.allocate", [_, Value::Text(template), ..]) => {
            let attributes = harness::opennebula::parse_template(template).unwrap();
            attributes.into_iter().find(|(name, _)| name == "NAME").unwrap().1
        }
        ("one.image.rename" | "one.image.clone", [_, _, Value::Text(name), ..]) => name.clone(),
        _ => world.images[&named.unwrap()].name.clone(),
    }
}

/// An image that was made between two recordings.
fn appear(world: &mut World, later: &[Recording], id: u32, name: Option<&str>) {
    if !world.images.contains_key(&id) {
        let shown = later.iter().flat_map(documents).find(|(image, _)| image.id == id);
        let next = std::mem::replace(&mut world.next_image, id);
        world.put(name.unwrap_or(&format!("unseen-{id}")), 0, 0, 0o600);
        world.next_image = next;
        if let Some((image, _)) = shown {
            world.images.insert(id, image);
        }
    }
    if let Some(name) = name {
        name.clone_into(&mut world.image(id).name);
    }
}

/// Lets an image of the stand-in come to the state a document shows, where time alone brings it there.
fn follow(world: &mut World, shown: &Image) {
    let Some(image) = world.images.get_mut(&shown.id) else {
        world.images.insert(shown.id, shown.clone());
        return;
    };
    if image.state == State::Locked && shown.state != State::Locked {
        let said = shown.attributes.get("ERROR");
        let failed = said.map(|text| text.split("datastore: ").nth(1).unwrap_or_default().to_owned());
        image.due = Some((0, failed.map_or(Due::Copied, Due::Failed)));
    }
    world.advance(0);
}

/// What calls brought about that the stand-in does not have.
pub(super) fn after(world: &mut World, recording: &Recording) {
    let datastore = |world: &mut World, id, name: &str, free_mb| {
        let safe_dirs = vec!["/srv/one/files".to_owned()];
        world.datastores.insert(id, Datastore { id, name: name.to_owned(), kind: 0, free_mb, safe_dirs });
    };
    match recording.name.as_str() {
        "datastore_allocate_limit" => datastore(world, 100, "limited", 1),
        "datastore_allocate_safedirs" => datastore(world, 101, "safedirs", 58422),
        "datastore_allocate_qcow2" => datastore(world, 102, "qcowds", 58422),
        "datastore_allocate_nodecomp" => datastore(world, 103, "nodecomp", 58422),
        "datastore_allocate_dummy" => datastore(world, 104, "dummyds", 58422),
        "datastore_update_safe_dirs_tmp" => {
            world.datastores.get_mut(&1).unwrap().safe_dirs.push("/srv/one/files".to_owned());
        }
        "image_chown_over_quota" => world.users.get_mut(&2).unwrap().image_quota = None,
        "user_update_alice_umask" => world.users.get_mut(&2).unwrap().umask = Some(0o137),
        "user_update_oneadmin_umask" => world.users.get_mut(&0).unwrap().umask = Some(0o022),
        _ => {}
    }
}

/// The images that an answer shows, with its method.
fn documents(recording: &Recording) -> Vec<(Image, String)> {
    let Ok(Answer::Success(Value::Text(text))) = decode_answer(&recording.response) else { return Vec::new() };
    let mut images = Vec::new();
    match recording.method.as_str() {
        "one.image.info" => images.push(image(&parse(&text, LIMITS).unwrap())),
        "one.imagepool.info" => drop(each_child(&text, LIMITS, |element| images.push(image(&element))).unwrap()),
        _ => {}
    }
    images.into_iter().map(|image| (image, recording.method.clone())).collect()
}

fn image(element: &Element) -> Image {
    let number = |name: &str| element.child_text(name).parse::<u32>().unwrap();
    let bits = element.child("PERMISSIONS").unwrap().children.iter();
    let states = [
        State::Ready,
        State::Used,
        State::Disabled,
        State::Locked,
        State::Error,
        State::Delete,
        State::UsedPersistent,
        State::LockedUsed,
    ];
    let lock = |lock: &Element| Lock {
        level: lock.child_text("LOCKED").parse().unwrap(),
        owner: lock.child_text("OWNER").parse().unwrap(),
        time: lock.child_text("TIME").parse().unwrap(),
    };
    let attributes = element.child("TEMPLATE").unwrap().children.iter();
    let attributes: BTreeMap<_, _> = attributes.map(|leaf| (leaf.name.clone(), leaf.text.clone())).collect();
    Image {
        id: number("ID"),
        name: element.child_text("NAME").to_owned(),
        uid: number("UID"),
        gid: number("GID"),
        permissions: bits.fold(0, |mode, bit| mode << 1 | u16::from(bit.text == "1")),
        kind: number("TYPE"),
        persistent: number("PERSISTENT") == 1,
        registered: i64::from(number("REGTIME")),
        modified: i64::from(number("REGTIME")),
        source: element.child_text("SOURCE").to_owned(),
        path: element.child_text("PATH").to_owned(),
        format: element.child_text("FORMAT").to_owned(),
        size_mb: u64::from(number("SIZE")),
        state: *states.iter().find(|state| **state as u32 == number("STATE")).unwrap(),
        datastore: number("DATASTORE_ID"),
        vms: element.child("VMS").unwrap().children.iter().map(|vm| vm.text.parse().unwrap()).collect(),
        lock: element.child("LOCK").map(lock),
        attributes,
        due: None,
    }
}

/// An answer without what no two servers say alike: times, file names, request numbers.
pub(super) fn comparable(recording: &Recording, response: &str) -> String {
    let answer = match decode_answer(response) {
        Ok(answer) => answer,
        Err(error) => return error.to_string(),
    };
    let Answer::Success(Value::Text(text)) = &answer else { return format!("{answer:?}") };
    match recording.method.as_str() {
        "one.image.info" => settled(&mut parse(text, LIMITS).unwrap()),
        // The pool has the same documents; which, and in what order, is what is compared here.
        "one.imagepool.info" => {
            let images = document::read_images(text).unwrap().images;
            format!("{:?}", images.iter().map(|image| image.id).collect::<Vec<_>>())
        }
        "one.user.info" => format!("{:?}", document::read_user(text).unwrap()),
        "one.userpool.info" => format!("{:?}", document::read_users(text).unwrap()),
        "one.grouppool.info" => format!("{:?}", document::read_groups(text).unwrap()),
        "one.datastorepool.info" => {
            let datastores = document::read_datastores(text).unwrap();
            format!("{:?}", datastores.iter().map(|it| (it.id, &it.name, it.kind)).collect::<Vec<_>>())
        }
        _ => format!("{answer:?}"),
    }
}

/// A document as text, times and the datastore's file names replaced.
fn settled(element: &mut Element) -> String {
    match element.name.as_str() {
        "REGTIME" | "MODTIME" | "TIME" | "REQ_ID" | "PREV_STATE" => "N".clone_into(&mut element.text),
        "SOURCE" if !element.text.is_empty() => "/datastore/file".clone_into(&mut element.text),
        "ERROR" => {
            let said = element.text.split(" : ").nth(1).unwrap_or_default();
            element.text = said.split(" to /srv").next().unwrap_or_default().to_owned();
        }
        _ => {}
    }
    let children: Vec<_> = element.children.iter_mut().map(settled).collect();
    format!("<{}>{}{}", element.name, element.text, children.concat())
}
