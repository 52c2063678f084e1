//! Access control lists, as `oneacl` writes them: who may do what with which objects, besides what the permission bits
//! of an object say.

use std::collections::BTreeSet;

use super::authorise::Right;
use super::world::{User, World};

/// The kinds of objects that a rule can name.
const KINDS: [&str; 12] = [
    "VM",
    "HOST",
    "NET",
    "IMAGE",
    "USER",
    "TEMPLATE",
    "GROUP",
    "DATASTORE",
    "CLUSTER",
    "DOCUMENT",
    "SECGROUP",
    "VROUTER",
];

/// Objects, or those who ask: all, those of one group, a single one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    All,
    Group(u32),
    One(u32),
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    whom: Which,
    kinds: BTreeSet<String>,
    which: Which,
    rights: BTreeSet<Right>,
}

/// What a right is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    /// `IMAGE` and the like.
    pub kind: &'a str,
    /// None where it is to be created.
    pub id: Option<u32>,
    pub gid: u32,
}

fn which(text: &str) -> Which {
    let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("expected an id in an ACL, found {text:?}"));
    match (text, text.strip_prefix('#'), text.strip_prefix('@')) {
        ("*", _, _) => Which::All,
        (_, Some(id), _) => Which::One(number(id)),
        (_, _, Some(id)) => Which::Group(number(id)),
        _ => panic!("expected *, #id or @id in an ACL, found {text:?}"),
    }
}

impl Rule {
    /// `#5 IMAGE+USER/@103 USE+MANAGE`, and the zone, which is not looked at.
    fn parse(text: &str) -> Self {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [whom, resource, rights] = words[..words.len().min(3)] else { panic!("expected an ACL, found {text:?}") };
        let (kinds, objects) = resource.split_once('/').unwrap_or_else(|| panic!("no objects in the ACL {text:?}"));
        let kinds: BTreeSet<String> = kinds.split('+').map(str::to_owned).collect();
        assert!(kinds.iter().all(|kind| KINDS.contains(&kind.as_str())), "unknown kind in the ACL {text:?}");
        let rights = rights.split('+').map(|right| Right::parse(right).expect("a right")).collect();
        Self { whom: which(whom), kinds, which: which(objects), rights }
    }

    fn grants(&self, user: &User, asked: Asked<'_>, right: Right) -> bool {
        let for_user = match self.whom {
            Which::All => true,
            Which::Group(gid) => user.groups.contains(&gid),
            Which::One(uid) => user.id == uid,
        };
        let for_object = match self.which {
            Which::All => true,
            Which::Group(gid) => asked.gid == gid,
            Which::One(id) => asked.id == Some(id),
        };
        for_user && for_object && self.kinds.contains(asked.kind) && self.rights.contains(&right)
    }
}

impl World {
    /// Adds a rule, as `oneacl create` takes it.
    ///
    /// # Panics
    /// When it is no rule.
    pub fn allow(&mut self, rule: &str) {
        self.rules.push(Rule::parse(rule));
    }

    /// Makes a user the administrator of a group, with the rules that a server adds then.
    pub fn add_administrator(&mut self, uid: u32, gid: u32) {
        self.allow(&format!("#{uid} USER/@{gid} USE+MANAGE+ADMIN+CREATE"));
        self.allow(&format!("#{uid} VM+NET+IMAGE+TEMPLATE+DOCUMENT+SECGROUP+VROUTER/@{gid} USE+MANAGE"));
    }

    /// Whether a rule grants this.
    pub(super) fn is_granted(&self, user: &User, asked: Asked<'_>, right: Right) -> bool {
        self.rules.iter().any(|rule| rule.grants(user, asked, right))
    }

    /// Whether a user may use or manage a user: itself, or what a rule grants.
    pub(super) fn may_on_user(&self, user: &User, uid: u32, right: Right) -> bool {
        let gid = self.users.get(&uid).map_or(u32::MAX, |other| other.gid);
        let asked = Asked { kind: "USER", id: Some(uid), gid };
        user.is_admin() || user.id == uid || self.is_granted(user, asked, right)
    }

    /// Whether a user may use a group: one of its own, or what a rule grants.
    pub(super) fn may_use_group(&self, user: &User, gid: u32) -> bool {
        let asked = Asked { kind: "GROUP", id: Some(gid), gid };
        user.is_admin() || user.groups.contains(&gid) || self.is_granted(user, asked, Right::Use)
    }
}
