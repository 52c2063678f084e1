//! The reconcilers on a folder of manifests: real files, real sockets, real signatures.

mod auto_endorse;
mod clock;
mod conversion_cuts;
mod conversions;
mod cuts;
mod deletion;
mod deletion_orders;
mod departures;
mod endorsements;
mod finalizers;
mod foreground;
mod hand_over;
mod large;
mod lifecycle;
mod openpgp;
mod original_bugs;
mod over_directory;
mod pins;
pub(crate) mod process;
mod refusals;
mod removals;
mod retirement;
mod retries;
mod space;
mod statements;
pub(crate) mod targets;
mod told_once;
