//! Calls that change an image.

use super::allocate::{invalid_name, kind};
use super::authorise::Right;
use super::template::parse_template;
use super::world::{Dialect, Due, Image, Lock, Refusal, State, User, World};

type Done = Result<u32, Refusal>;

impl World {
    /// Type 0 replaces all attributes, 1 adds and replaces.
    pub(super) fn update(&mut self, user: &User, id: i64, template: &str, how: i64) -> Done {
        if !matches!(how, 0 | 1) {
            return Err(Refusal::new(4096, "Wrong update type"));
        }
        let image = self.authorised(user, id, Right::Manage)?;
        let cannot = |text: &str| Refusal::new(8192, format!("Cannot update template. {text}"));
        let attributes = parse_template(template).map_err(|error| cannot(&error.0))?;
        if let Some(name) = self.restricted(user, attributes.iter().map(|(name, _)| name)) {
            return Err(cannot(&format!("User Template includes a restricted attribute {name}")));
        }
        // The server says yes and stores nothing.
        if template.starts_with('<') && attributes.iter().any(|(_, value)| value.contains("]]>")) {
            return Ok(image.id);
        }
        let stored = &mut self.image(image.id).attributes;
        if how == 0 {
            stored.clear();
        }
        stored.extend(attributes);
        Ok(image.id)
    }

    pub(super) fn rename(&mut self, user: &User, id: i64, name: &str) -> Done {
        let image = u32::try_from(id).ok().and_then(|id| self.images.get(&id));
        let image = image.ok_or_else(|| Refusal::missing("image", id))?.clone();
        // Asked first: neither rights nor locks matter to a name that is there already.
        if image.name == name {
            return Ok(image.id);
        }
        if let Some(text) = invalid_name(name, self.dialect) {
            return Err(Refusal::new(2048, text));
        }
        self.authorise(user, &image, Right::Manage)?;
        if let Some(holder) = self.find(name, image.uid) {
            let text = format!("image cannot be renamed to {name} because it collides with image {}", holder.id);
            return Err(Refusal::new(2048, text));
        }
        name.clone_into(&mut self.image(image.id).name);
        Ok(image.id)
    }

    pub(super) fn chown(&mut self, user: &User, id: i64, uid: i64, gid: i64) -> Done {
        let exists = u32::try_from(id).is_ok_and(|id| self.images.contains_key(&id));
        if !exists {
            return Err(Refusal::missing("image", id));
        }
        let (owner, group) = (u32::try_from(uid).ok(), u32::try_from(gid).ok());
        if owner.is_some_and(|uid| !self.users.contains_key(&uid)) {
            return Err(Refusal::missing("user", uid));
        }
        if group.is_some_and(|gid| !self.groups.contains_key(&gid)) {
            return Err(Refusal::missing("group", gid));
        }
        let image = self.authorised(user, id, Right::Manage)?;
        let foreign_user = owner.filter(|uid| !self.may_on_user(user, *uid, Right::Manage));
        let foreign_user = foreign_user.map(|uid| format!("MANAGE USER [{uid}]"));
        let foreign_group = group.filter(|gid| !self.may_use_group(user, *gid));
        let foreign_group = foreign_group.map(|gid| format!("USE GROUP [{gid}]"));
        let refused: Vec<_> = foreign_user.into_iter().chain(foreign_group).collect();
        if !refused.is_empty() {
            let reasons: Vec<_> = refused.iter().map(|what| format!("Not authorized to perform {what}")).collect();
            return Err(Refusal::new(512, format!("User [{}] : {}.", user.id, reasons.join("; "))));
        }
        if let Some(uid) = owner {
            // Servers up to 6.0 take the image itself for the one that has the name.
            let itself = self.dialect == Dialect::V7_4;
            let holder = self
                .images
                .values()
                .find(|other| other.uid == uid && other.name == image.name && !(itself && other.id == image.id));
            if let Some(holder) = holder {
                let text = format!("user [{uid}] already owns image [{}] with NAME {}", holder.id, image.name);
                return Err(Refusal::new(8192, text));
            }
            if uid != image.uid {
                let full = |text| Refusal::new(512, format!("User [{}] : {text}", user.id));
                self.check_quota(uid, image.datastore).map_err(full)?;
            }
        }
        let changed = self.image(image.id);
        changed.uid = owner.unwrap_or(changed.uid);
        changed.gid = group.unwrap_or(changed.gid);
        Ok(image.id)
    }

    pub(super) fn chmod(&mut self, user: &User, id: i64, bits: [i64; 9]) -> Done {
        let known = u32::try_from(id).ok().and_then(|id| self.images.get(&id));
        let present = known.ok_or_else(|| Refusal::missing("image", id))?.permissions;
        if bits.iter().any(|bit| !(-1..=1).contains(bit)) {
            return Err(Refusal::new(8192, "New permission values must be -1, 0 or 1"));
        }
        let mut mode = present;
        for (place, bit) in bits.iter().enumerate() {
            let mask = 1 << (8 - place);
            match bit {
                0 => mode &= !mask,
                1 => mode |= mask,
                _ => {}
            }
        }
        let administers = (mode ^ present) & 0o111 != 0;
        let image = self.authorised(user, id, if administers { Right::Admin } else { Right::Manage })?;
        self.image(image.id).permissions = mode;
        Ok(image.id)
    }

    pub(super) fn enable(&mut self, user: &User, id: i64, enable: bool) -> Done {
        let image = self.authorised(user, id, Right::Manage)?;
        let state = match (image.state, enable) {
            (State::Ready | State::Disabled | State::Error, true) => State::Ready,
            (State::Ready | State::Disabled | State::Error, false) => State::Disabled,
            (state, _) => {
                let verb = if enable { "enable" } else { "disable" };
                let text = format!("Could not {verb} image: Image cannot be in state {}.", state.text());
                return Err(Refusal::new(8192, text));
            }
        };
        let image = self.image(image.id);
        if image.state != state {
            image.lock = None; // a change of state takes a user's lock away
        }
        image.state = state;
        Ok(image.id)
    }

    pub(super) fn persistent(&mut self, user: &User, id: i64, persistent: bool) -> Done {
        let image = self.authorised(user, id, Right::Manage)?;
        let busy = matches!(image.state, State::Used | State::UsedPersistent | State::LockedUsed);
        let same = image.persistent == persistent && self.dialect == Dialect::V7_4;
        if busy && !same {
            let what = if persistent { "persistent" } else { "non-persistent" };
            let text = format!("Could not make image {what}: Image cannot be in state {}.", image.state.text());
            return Err(Refusal::new(8192, text));
        }
        self.image(image.id).persistent = persistent;
        Ok(image.id)
    }

    pub(super) fn change_type(&mut self, user: &User, id: i64, text: &str) -> Done {
        let image = self.authorised(user, id, Right::Manage)?;
        let Some(kind) = kind(text).filter(|_| !text.is_empty()) else {
            return Err(Refusal::new(8192, "nknown type "));
        };
        if kind > 2 {
            let text = "Cannot change image type to an incompatible type for the current datastore.";
            return Err(Refusal::new(2048, text));
        }
        self.image(image.id).kind = kind;
        Ok(image.id)
    }

    pub(super) fn delete(&mut self, user: &User, id: i64, force: bool) -> Done {
        let new = self.dialect == Dialect::V7_4;
        let is_locked = |image: &Image| matches!(image.state, State::Locked | State::LockedUsed);
        let known = u32::try_from(id).ok().and_then(|id| self.images.get(&id));
        // Since copies can only be given up by force, that is an administrator's.
        let administers = new && known.is_some_and(is_locked);
        let image = self.authorised(user, id, if administers { Right::Admin } else { Right::Manage })?;
        let locked = is_locked(&image);
        if locked && new && !force {
            let text =
                "Image locked, use --force flag to remove the image. Force delete may leave some files on Datastore";
            return Err(Refusal { object: i64::from(image.id), ..Refusal::new(8192, text) });
        }
        if !image.vms.is_empty() {
            if force && new {
                self.image(image.id).attributes.insert("FORCE_DELETE".to_owned(), "YES".to_owned());
            }
            let text = format!("Cannot delete image. There are {} VMs using it.", image.vms.len());
            return Err(Refusal::new(2048, text));
        }
        let at = self.clock + self.removal_seconds;
        if image.source.is_empty() {
            self.images.remove(&image.id);
        } else if image.state != State::Delete {
            let image = self.image(image.id);
            image.state = State::Delete;
            image.due = Some((at, Due::Gone));
        }
        Ok(image.id)
    }

    /// A copy of an image, owned by whoever asks.
    pub(super) fn clone_image(&mut self, user: &User, id: i64, name: &str, datastore: i64) -> Done {
        let refused = |text: String| Refusal::new(16384, format!("Error allocating a new image. {text}"));
        let image = self.authorised(user, id, Right::Use)?;
        let target = if datastore == -1 { image.datastore } else { u32::try_from(datastore).unwrap_or(u32::MAX) };
        if !self.datastores.contains_key(&target) {
            return Err(Refusal::missing("datastore", datastore));
        }
        if !matches!(image.state, State::Ready | State::Used) {
            return Err(refused(format!("Cannot clone image in state: {}", image.state.text())));
        }
        if let Some(text) = invalid_name(name, self.dialect) {
            return Err(refused(text));
        }
        if let Some(holder) = self.find(name, user.id) {
            return Err(refused(format!("NAME is already taken by IMAGE {}.", holder.id)));
        }
        let id = self.next_image;
        self.next_image += 1;
        let at = self.clock + self.copy_seconds.unwrap_or(i64::MAX / 2);
        let copy = Image {
            id,
            name: name.to_owned(),
            uid: user.id,
            gid: user.gid,
            permissions: 0o600,
            path: image.source.clone(),
            source: String::new(),
            state: State::Locked,
            datastore: target,
            due: Some((at, Due::Copied)),
            lock: None,
            registered: self.clock,
            ..image
        };
        self.images.insert(id, copy);
        Ok(id)
    }

    pub(super) fn lock(&mut self, user: &User, id: i64, level: i64, test: bool) -> Done {
        let open = self.unlocked_view(user, id)?;
        let level = u32::try_from(level).ok().filter(|level| (1..=4).contains(level));
        let level = level.ok_or_else(|| {
            Refusal::new(
                2048,
                match self.dialect {
                    Dialect::V5_12 => "Error trying to lock the resource.",
                    Dialect::V7_4 => "Wrong lock level specified",
                },
            )
        })?;
        if let (true, Some(lock), Dialect::V7_4) = (test, open.lock, self.dialect) {
            return Err(Refusal::new(2048, lock.time.to_string()));
        }
        // "all" is stored as "use" since the level was added.
        let level = if level == 4 && self.dialect == Dialect::V7_4 { 1 } else { level };
        let lock = Lock { level, owner: user.id, time: self.clock };
        self.image(open.id).lock = Some(lock);
        Ok(open.id)
    }

    pub(super) fn unlock(&mut self, user: &User, id: i64) -> Done {
        let open = self.unlocked_view(user, id)?;
        if open.lock.is_some_and(|lock| lock.owner != user.id && !user.is_admin()) {
            return Err(Refusal::new(2048, "Cannot unlock: Lock is owned by another user"));
        }
        self.image(open.id).lock = None;
        Ok(open.id)
    }

    /// The image of a call for which its lock does not count.
    fn unlocked_view(&self, user: &User, id: i64) -> Result<Image, Refusal> {
        let image = u32::try_from(id).ok().and_then(|id| self.images.get(&id));
        let image = image.ok_or_else(|| Refusal::missing("image", id))?;
        self.authorise(user, &Image { lock: None, ..image.clone() }, Right::Manage)?;
        Ok(image.clone())
    }
}
