//! With whose rights the operator works at a cloud. What each can reach is one table, in docs/opennebula.md; here each
//! of its cells is tried.

use std::fs;
use std::path::Path;

use harness::opennebula::Dialect;
use vmcatcher_operator::cloud::Reason;
use vmcatcher_operator::opennebula::carry_over::{Reference, Retired, UpdateMode, Verdict};

use super::site::{ALICE, IDENTIFIER, ONEADMIN, SITES, Site, USERS, Want, condition};

/// The group that the manager administers, and a user of it.
pub(super) const CREW: u32 = 101;
pub(super) const MANAGER: u32 = 6;
pub(super) const DORA: u32 = 7;
/// A plain user, also in the group `sites`.
pub(super) const CATCHER: u32 = 8;

/// Whose session the operator has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Credential {
    /// User `oneadmin`.
    Oneadmin,
    /// The administrator of a group, made so by `onegroup addadmin`.
    GroupAdministrator,
    /// A user of the group `users`.
    User,
}

impl Credential {
    pub(super) const ALL: [Self; 3] = [Self::Oneadmin, Self::GroupAdministrator, Self::User];

    pub(super) fn session(self) -> &'static str {
        match self {
            Self::Oneadmin => "oneadmin:opennebula-test",
            Self::GroupAdministrator => "manager:managerpw",
            Self::User => "catcher:catcherpw",
        }
    }

    /// The user and its primary group: what a new image gets.
    pub(super) fn owner(self) -> (u32, u32) {
        match self {
            Self::Oneadmin => (ONEADMIN, ONEADMIN),
            Self::GroupAdministrator => (MANAGER, CREW),
            Self::User => (CATCHER, USERS),
        }
    }

    /// An owner and a group to which it can give images: anybody, somebody of the group, itself in another group.
    pub(super) fn customer(self) -> (u32, u32) {
        match self {
            Self::Oneadmin => (ALICE, SITES),
            Self::GroupAdministrator => (DORA, CREW),
            Self::User => (CATCHER, SITES),
        }
    }

    /// Owner, group and mode of what it took out of circulation.
    pub(super) fn retired(self) -> (u32, u32, u16) {
        let (uid, gid) = self.owner();
        (uid, gid, if self == Self::Oneadmin { 0o700 } else { 0o600 })
    }

    /// The bits that it may set: without an administrator's rights not those to administer.
    pub(super) fn mask(self) -> u16 {
        if self == Self::Oneadmin { 0o777 } else { 0o666 }
    }

    pub(super) fn site(self) -> Site {
        self.site_of(Dialect::V7_4, UpdateMode::Staged)
    }

    /// A site that works with it. Retired images stay with the user unless it may give them to `oneadmin`.
    pub(super) fn site_of(self, dialect: Dialect, mode: UpdateMode) -> Site {
        let mut site = Site::of(dialect, mode);
        if self != Self::Oneadmin {
            let (uid, gid) = self.owner();
            site.settings.retired =
                Retired { owner: Reference::Id(uid), group: Reference::Id(gid), delete_after: None };
            site.act_as(self.session());
        }
        site
    }
}

/// Runs tests that take a [`Credential`] once with each.
macro_rules! with_each_credential {
    ($($test:ident)*) => {
        mod oneadmin {
            $(#[test] fn $test() { super::$test($crate::opennebula::credential::Credential::Oneadmin) })*
        }
        mod group_administrator {
            $(#[test] fn $test() { super::$test($crate::opennebula::credential::Credential::GroupAdministrator) })*
        }
        mod user {
            $(#[test] fn $test() { super::$test($crate::opennebula::credential::Credential::User) })*
        }
    };
}
pub(super) use with_each_credential;

/// Who can do something: whether it was done whole, or the condition that says why not.
type Deed = fn(&mut Site, Credential) -> Result<(), (Reason, String)>;

/// The rows of the table.
const DEEDS: [(&str, Deed); 8] = [
    ("register, update, withdraw images that stay its own", own_images),
    ("the same with images given to a user of its group", |site, who| {
        let group = if who == Credential::GroupAdministrator { CREW } else { USERS };
        given_away(site, if group == CREW { DORA } else { super::site::BOB }, group)
    }),
    ("the same with images given to any other user", |site, _| given_away(site, ALICE, SITES)),
    ("carry over the right to administer (`a` bits)", |site, _| {
        let image = published(site, 1)?;
        site.cloud.world(|world| world.image(image).permissions = 0o745);
        published(site, 2).map(drop)
    }),
    ("give retired images to `oneadmin` (the default)", |site, _| {
        site.settings.retired = Retired::default();
        own_images(site, Credential::Oneadmin)
    }),
    ("see an image of its own that was given to another user", |site, _| {
        let image = published(site, 1)?;
        site.cloud.world(|world| {
            let image = world.image(image);
            (image.uid, image.gid, image.permissions) = (ALICE, SITES, 0o600);
        });
        published(site, 1).map(|seen| assert_eq!(seen, image))
    }),
    ("give up a copy that hangs (since 6.6)", |site, _| {
        site.cloud.world(|world| world.copy_seconds = None);
        site.pass(&[Want(IDENTIFIER, Some(1))]).unwrap();
        site.cloud.world(|world| world.advance(4 * 3600));
        let (reason, message) = site.condition(Some(1));
        if reason == Reason::ImportFailed { Ok(()) } else { Err((reason, message)) }
    }),
    ("work while `VMCATCHER_*` are restricted attributes", |site, _| {
        site.cloud.world(|world| world.restricted.insert("VMCATCHER_OPERATOR".to_owned()));
        published(site, 1).map(drop)
    }),
];

/// Passes until a version is published and all older ones are out of circulation; else what the condition says.
fn published(site: &Site, version: u8) -> Result<u32, (Reason, String)> {
    match settled(site, Some(version))? {
        Verdict::Published { id } => Ok(id),
        other => Err(condition(&other)),
    }
}

fn settled(site: &Site, version: Option<u8>) -> Result<Verdict, (Reason, String)> {
    let mut last = (Reason::Importing, String::new());
    for _ in 0..6 {
        let outcome = site.pass(&[Want(IDENTIFIER, version)]).unwrap().outcomes.remove(0);
        site.cloud.world(|world| world.advance(1));
        match (&outcome.verdict, outcome.unfinished.first()) {
            (Verdict::Waiting { .. }, _) => last = condition(&outcome.verdict),
            (_, Some(unfinished)) => last = unfinished.clone(),
            (_, None) => return Ok(outcome.verdict),
        }
    }
    Err(last)
}

fn own_images(site: &mut Site, _: Credential) -> Result<(), (Reason, String)> {
    published(site, 1)?;
    published(site, 2)?;
    settled(site, None).map(drop)
}

fn given_away(site: &mut Site, uid: u32, gid: u32) -> Result<(), (Reason, String)> {
    let image = published(site, 1)?;
    site.cloud.world(|world| {
        let image = world.image(image);
        (image.uid, image.gid, image.permissions) = (uid, gid, 0o644);
    });
    published(site, 1)?;
    let new = published(site, 2)?;
    assert_eq!(site.image(new).owner_and_mode(), (uid, gid, 0o644));
    settled(site, None).map(drop)
}

fn documentation() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/opennebula.md");
    fs::read_to_string(path).unwrap()
}

/// The cells of the documented table: the deed, then `yes` or `no` for each credential and for a user with the rules.
fn documented(text: &str, deed: &str) -> Vec<String> {
    let row = text.lines().find(|line| line.starts_with(&format!("| {deed} |"))).unwrap_or_else(|| panic!("{deed}"));
    row.split('|').skip(2).map(|cell| cell.trim().to_owned()).filter(|cell| !cell.is_empty()).collect()
}

/// The rules that the page names, for a user.
fn rules(text: &str, uid: u32) -> Vec<String> {
    let quoted = text.lines().filter_map(|line| line.trim().strip_prefix("oneacl create \"")?.split('"').next());
    quoted.map(|rule| rule.replace("<user>", &uid.to_string())).collect()
}

#[test]
fn what_each_can_do_is_what_the_documentation_says() {
    let text = documentation();
    let rules = rules(&text, CATCHER);
    assert_eq!(rules.len(), 3);
    for (name, deed) in DEEDS {
        let mut found = Vec::new();
        for (who, ruled) in Credential::ALL.map(|who| (who, false)).into_iter().chain([(Credential::User, true)]) {
            for mode in [UpdateMode::Staged, UpdateMode::InPlace] {
                let mut site = who.site_of(Dialect::V7_4, mode);
                if ruled {
                    site.cloud.world(|world| rules.iter().for_each(|rule| world.allow(rule)));
                }
                let done = deed(&mut site, who);
                let told = done.as_ref().err().is_none_or(|(reason, message)| {
                    *reason == Reason::NotAuthorized && message.contains("Not authorized to perform")
                        || message.contains("and to show us")
                        || message.contains("restricted attribute")
                });
                assert!(told, "{name}, {who:?}, {mode:?}: {done:?}");
                found.push((mode, if done.is_ok() { "yes" } else { "no" }));
            }
        }
        let by = |mode| found.iter().filter(|(found, _)| *found == mode).map(|(_, cell)| *cell).collect::<Vec<_>>();
        assert_eq!(by(UpdateMode::Staged), by(UpdateMode::InPlace), "{name}");
        assert_eq!(documented(&text, name), by(UpdateMode::Staged), "{name}");
    }
}
