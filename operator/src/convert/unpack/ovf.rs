//! Finds the file of an appliance that is its disk: the Open Virtualization Format, DMTF DSP0243 1.1 and 2.1.

use crate::xml::{Element, Limits, parse};

const LIMITS: Limits = Limits { depth: 32, elements: 20_000 };
/// The resource type of a disk drive in `CIM_ResourceAllocationSettingData`.
const DISK_DRIVE: &str = "17";
/// The maximum number of names that are returned.
const MOST_TOLD: usize = 8;

/// A disk of a virtual machine, ordered as the firmware searches for a boot disk.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Attached<'a> {
    /// The position of its controller in the description.
    controller: usize,
    /// Its address at the controller.
    address: u64,
    /// Its position in the description.
    position: usize,
    resource: &'a str,
}

/// The file of the boot disk, and the files of the others. The error contains what was expected and found.
pub(super) fn choose(text: &str) -> Result<Choice, String> {
    let envelope = parse(text, LIMITS).map_err(|error| error.to_string())?;
    if envelope.local_name() != "Envelope" {
        return Err(format!("expected an Envelope, found {:?}", envelope.name));
    }
    let mut machines = Vec::new();
    find(&envelope, "VirtualSystem", &mut machines);
    let [machine] = machines.as_slice() else {
        return Err(format!("expected one VirtualSystem, found {}", machines.len()));
    };
    let disks = in_order(&envelope, machine);
    let mut files = Vec::new();
    for disk in disks {
        // A disk without a file is empty and is made together with the machine.
        if let Some(file) = file_of(&envelope, &disk)?
            && !files.contains(&file)
        {
            files.push(file);
        }
    }
    let mut files = files.into_iter();
    let member = files.next().ok_or("expected a disk with a file, found none")?;
    Ok(Choice { member, left_out: files.take(MOST_TOLD).collect() })
}

/// A reference to a disk: the text of `rasd:HostResource`, or an element `Disk`.
enum Reference<'a> {
    Resource(&'a str),
    Disk(&'a Element),
}

/// The disks in the hardware section, or else all disks of the disk section.
fn in_order<'a>(envelope: &'a Element, machine: &'a Element) -> Vec<Reference<'a>> {
    let mut attached = attached(machine);
    attached.sort();
    if attached.is_empty() {
        return disks(envelope).map(Reference::Disk).collect();
    }
    attached.into_iter().map(|disk| Reference::Resource(disk.resource)).collect()
}

fn attached(machine: &Element) -> Vec<Attached<'_>> {
    let sections = machine.children.iter().filter(|section| section.local_name() == "VirtualHardwareSection");
    // The first section is for any hypervisor; others are for special ones.
    let items: Vec<&Element> = sections.take(1).flat_map(|section| &section.children).collect();
    let place_of = |instance: &str| items.iter().position(|item| text_of(item, "InstanceID") == instance);
    let drives = items.iter().enumerate().filter(|(_, item)| text_of(item, "ResourceType") == DISK_DRIVE);
    let each = drives.filter_map(|(position, item)| {
        let resource = text_of(item, "HostResource");
        let controller = place_of(text_of(item, "Parent")).unwrap_or(usize::MAX);
        let address = text_of(item, "AddressOnParent").parse().unwrap_or(u64::MAX);
        (!resource.is_empty()).then_some(Attached { controller, address, position, resource })
    });
    each.collect()
}

/// The name of a disk's file; `None` if it has none.
fn file_of(envelope: &Element, disk: &Reference<'_>) -> Result<Option<String>, String> {
    let disk = match disk {
        Reference::Disk(disk) => disk,
        Reference::Resource(resource) => {
            let path = resource.trim().strip_prefix("ovf:").unwrap_or(resource.trim());
            match path.trim_start_matches('/').split_once('/') {
                Some(("disk", id)) => disks(envelope)
                    .find(|disk| disk.attribute("diskId") == Some(id))
                    .ok_or_else(|| format!("expected a Disk {id:?}, found none"))?,
                Some(("file", id)) => return file(envelope, id).map(Some),
                Some(_) | None => return Err(format!("expected ovf:/disk/… or ovf:/file/…, found {resource:?}")),
            }
        }
    };
    if disk.attribute("parentRef").is_some() {
        return Err("expected a disk that is complete by itself, found one with a parentRef".to_owned());
    }
    disk.attribute("fileRef").map(|id| file(envelope, id)).transpose()
}

fn file(envelope: &Element, id: &str) -> Result<String, String> {
    let references = envelope.children.iter().find(|section| section.local_name() == "References");
    let mut files = references.into_iter().flat_map(|references| &references.children);
    let file = files.find(|file| file.local_name() == "File" && file.attribute("id") == Some(id));
    let file = file.ok_or_else(|| format!("expected a File {id:?}, found none"))?;
    if file.attribute("chunkSize").is_some() {
        return Err(format!("expected the file {id:?} in one piece, found it in chunks"));
    }
    let name = file.attribute("href").unwrap_or_default();
    let is_plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', ':', '\0']);
    if is_plain {
        Ok(name.to_owned())
    } else {
        Err(format!("expected the name of a file beside the OVF, found {name:?}"))
    }
}

fn disks(envelope: &Element) -> impl Iterator<Item = &Element> {
    let sections = envelope.children.iter().filter(|section| section.local_name() == "DiskSection");
    sections.flat_map(|section| &section.children).filter(|disk| disk.local_name() == "Disk")
}

fn text_of<'a>(item: &'a Element, name: &str) -> &'a str {
    item.children.iter().find(|child| child.local_name() == name).map_or("", |child| child.text.trim())
}

/// All elements with a name, also in collections.
fn find<'a>(element: &'a Element, name: &str, found: &mut Vec<&'a Element>) {
    for child in &element.children {
        if child.local_name() == name {
            found.push(child);
        } else if child.local_name() == "VirtualSystemCollection" {
            find(child, name, found);
        }
    }
}

/// The member of an archive that is the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    /// Its name in the archive.
    pub member: String,
    /// The names of other disks.
    pub left_out: Vec<String>,
}
