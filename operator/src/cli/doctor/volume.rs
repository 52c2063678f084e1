//! The volume. Pure.

use std::path::Path;

use super::finding::{Area, Finding};
use crate::cache::{CacheError, Inspected};
use crate::size::Size;

/// The most strangers that are named.
const MOST_NAMED: usize = 5;

/// What is wrong with a volume. `account` is the user and the group of this process, as `chown` takes them.
pub(super) fn findings(root: &Path, inspected: &Result<Inspected, CacheError>, account: &str) -> Vec<Finding> {
    let Inspected { not_writable, holder, strangers, takes_direct, free } = match inspected {
        Ok(inspected) => inspected,
        Err(error) => return vec![unreadable(root, error, account)],
    };
    let rights = not_writable.iter().map(|(path, found)| {
        let message = format!("expected a directory that the account of this command can write, found: {found}");
        let mend = format!("chown -R {account} {}; or run this command as the account of the operator", path.display());
        Finding::wrong(Area::Volume, path.display(), message, mend)
    });
    let full = (free.usable() == 0).then(|| {
        let message = format!("expected free space for downloads, found {free}");
        Finding::wrong(
            Area::Volume,
            root.display(),
            message,
            "vmcatcher-operator cache du; then a larger volume, fewer images, or a shorter retention",
        )
    });
    let in_use = holder.iter().map(|holder| {
        let message = format!("in use by {holder}: another run waits until it ends");
        Finding::note(Area::Volume, root.display(), message, "nothing, if that is the service of this site")
    });
    let slow = (*takes_direct == Some(false)).then(|| {
        let message = "the file system takes no direct writes (or the kernel is older than 6.1): downloads go through \
                       the page cache, which takes more time";
        Finding::note(Area::Volume, root.display(), message, "a volume on xfs or ext4, if downloads are too slow")
    });
    let stranger = strangers.iter().take(MOST_NAMED).map(|path| {
        let message = "not made by the operator, which never touches it";
        Finding::note(Area::Volume, path.display(), message, format!("mv {} to another place", path.display()))
    });
    rights.chain(full).chain(in_use).chain(slow).chain(stranger).collect()
}

fn unreadable(root: &Path, error: &CacheError, account: &str) -> Finding {
    let mend = match error {
        CacheError::NoVolume { .. } => {
            let (user, group) = account.split_once(':').unwrap_or((account, account));
            format!("install -d -o {user} -g {group} {}; or mount the volume there", root.display())
        }
        CacheError::File(_)
        | CacheError::NoSpace { .. }
        | CacheError::Locked { .. }
        | CacheError::ReadOnly { .. }
        | CacheError::StateCorrupt { .. }
        | CacheError::Foreign { .. }
        | CacheError::Gone(_)
        | CacheError::Name(_) => {
            format!("chown {account} {}; or run this command as the account of the operator", root.display())
        }
    };
    Finding::wrong(Area::Volume, root.display(), error.to_string(), mend)
}

/// What was seen of a volume, as text.
pub(super) fn seen(root: &Path, inspected: &Result<Inspected, CacheError>) -> String {
    let free = inspected.as_ref().map(|inspected| format!("{} free", Size(inspected.free.bytes)));
    format!("{}: {}", root.display(), free.unwrap_or_else(|_| "cannot be looked at".to_owned()))
}
