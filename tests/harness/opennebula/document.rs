//! Objects as OpenNebula writes them.

use std::fmt::Write as _;

use super::world::{Datastore, Dialect, Image, State, User, World};

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn cdata(text: &str) -> String {
    format!("<![CDATA[{text}]]>")
}

fn permissions(bits: u16) -> String {
    const NAMES: [&str; 9] =
        ["OWNER_U", "OWNER_M", "OWNER_A", "GROUP_U", "GROUP_M", "GROUP_A", "OTHER_U", "OTHER_M", "OTHER_A"];
    let each = NAMES.iter().enumerate().map(|(place, name)| {
        let bit = bits >> (8 - place) & 1;
        format!("<{name}>{bit}</{name}>")
    });
    format!("<PERMISSIONS>{}</PERMISSIONS>", each.collect::<Vec<_>>().concat())
}

impl World {
    fn names(&self, uid: u32, gid: u32) -> (String, String) {
        let user = self.users.get(&uid).map(|user| escape(&user.name)).unwrap_or_default();
        (user, self.groups.get(&gid).map(|group| escape(&group.name)).unwrap_or_default())
    }

    /// `<IMAGE>`, in the order of this server's version.
    pub(super) fn image_document(&self, image: &Image) -> String {
        let new = self.dialect == Dialect::V7_4;
        let (uname, gname) = self.names(image.uid, image.gid);
        let Image { id, uid, gid, kind, registered, modified, size_mb, datastore, .. } = image;
        let (name, persistent) = (escape(&image.name), u8::from(image.persistent));
        let state = if self.garbled.contains(id) { "SOON".to_owned() } else { (image.state as u32).to_string() };
        let mut text = format!(
            "<IMAGE><ID>{id}</ID><UID>{uid}</UID><GID>{gid}</GID><UNAME>{uname}</UNAME><GNAME>{gname}</GNAME><NAME>{name}</NAME>"
        );
        // Writing to a String cannot fail.
        if let Some(lock) = image.lock {
            let _ = write!(
                text,
                "<LOCK><LOCKED>{}</LOCKED><OWNER>{}</OWNER><TIME>{}</TIME><REQ_ID>0</REQ_ID></LOCK>",
                lock.level, lock.owner, lock.time
            );
        }
        let _ = write!(
            text,
            "{}<TYPE>{kind}</TYPE><DISK_TYPE>0</DISK_TYPE><PERSISTENT>{persistent}</PERSISTENT><REGTIME>{registered}</REGTIME>",
            permissions(image.permissions)
        );
        if new {
            let _ = write!(text, "<MODTIME>{modified}</MODTIME>");
        }
        let _ = write!(text, "<SOURCE>{}</SOURCE><PATH>{}</PATH>", cdata(&image.source), cdata(&image.path));
        if new {
            let format = if image.source.is_empty() { "" } else { &image.format };
            let _ = write!(text, "<FORMAT>{}</FORMAT><FS>{}</FS>", cdata(format), cdata(""));
        } else {
            let made = if image.path.is_empty() { "raw" } else { "" };
            let _ = write!(text, "<FSTYPE>{}</FSTYPE>", cdata(made));
        }
        let _ = write!(text, "<SIZE>{size_mb}</SIZE><STATE>{state}</STATE>");
        if new {
            let previous = if image.state == State::Locked { "0" } else { &state };
            let _ = write!(text, "<PREV_STATE>{previous}</PREV_STATE>");
        }
        let vms: Vec<_> = image.vms.iter().map(|vm| format!("<ID>{vm}</ID>")).collect();
        let _ = write!(
            text,
            "<RUNNING_VMS>{}</RUNNING_VMS><CLONING_OPS>0</CLONING_OPS><CLONING_ID>-1</CLONING_ID><TARGET_SNAPSHOT>-1</TARGET_SNAPSHOT>\
             <DATASTORE_ID>{datastore}</DATASTORE_ID><DATASTORE>{}</DATASTORE><VMS>{}</VMS><CLONES></CLONES><APP_CLONES></APP_CLONES><TEMPLATE>",
            image.vms.len(),
            self.datastores.get(datastore).map(|datastore| escape(&datastore.name)).unwrap_or_default(),
            vms.concat()
        );
        for (name, value) in &image.attributes {
            let _ = write!(text, "<{name}>{}</{name}>", cdata(value));
        }
        text.push_str("</TEMPLATE><SNAPSHOTS><ALLOW_ORPHANS><![CDATA[NO]]></ALLOW_ORPHANS><CURRENT_BASE><![CDATA[-1]]></CURRENT_BASE><NEXT_SNAPSHOT><![CDATA[0]]></NEXT_SNAPSHOT></SNAPSHOTS>");
        if new {
            text.push_str("<BACKUP_INCREMENTS></BACKUP_INCREMENTS><BACKUP_DISK_IDS></BACKUP_DISK_IDS>");
        }
        text.push_str("</IMAGE>");
        text
    }

    pub(super) fn user_document(&self, user: &User) -> String {
        let groups: Vec<_> = user.groups.iter().map(|id| format!("<ID>{id}</ID>")).collect();
        let (_, gname) = self.names(user.id, user.gid);
        format!(
            "<USER><ID>{}</ID><GID>{}</GID><GROUPS>{}</GROUPS><GNAME>{gname}</GNAME><NAME>{}</NAME><PASSWORD>{}</PASSWORD><AUTH_DRIVER>{}</AUTH_DRIVER><ENABLED>1</ENABLED><TEMPLATE></TEMPLATE></USER>",
            user.id,
            user.gid,
            groups.concat(),
            escape(&user.name),
            cdata("0000"),
            cdata("core")
        )
    }

    pub(super) fn datastore_document(&self, datastore: &Datastore) -> String {
        let Datastore { id, name, kind, free_mb, safe_dirs } = datastore;
        let (name, safe_dirs) = (escape(name), cdata(&safe_dirs.join(" ")));
        let images: Vec<_> = self.images.values().filter(|image| image.datastore == *id).collect();
        let images: Vec<_> = images.iter().map(|image| format!("<ID>{}</ID>", image.id)).collect();
        format!(
            "<DATASTORE><ID>{id}</ID><UID>0</UID><GID>0</GID><UNAME>oneadmin</UNAME><GNAME>oneadmin</GNAME><NAME>{name}</NAME>{}<TYPE>{kind}</TYPE><STATE>0</STATE>\
             <FREE_MB>{free_mb}</FREE_MB><IMAGES>{}</IMAGES><TEMPLATE><RESTRICTED_DIRS><![CDATA[/]]></RESTRICTED_DIRS><SAFE_DIRS>{safe_dirs}</SAFE_DIRS></TEMPLATE></DATASTORE>",
            permissions(0o640),
            images.concat()
        )
    }

    pub(super) fn group_document(&self, id: u32, name: &str) -> String {
        let users = self.users.values().filter(|user| user.groups.contains(&id));
        let users: Vec<_> = users.map(|user| format!("<ID>{}</ID>", user.id)).collect();
        format!(
            "<GROUP><ID>{id}</ID><NAME>{}</NAME><TEMPLATE></TEMPLATE><USERS>{}</USERS><ADMINS></ADMINS></GROUP>",
            escape(name),
            users.concat()
        )
    }
}
