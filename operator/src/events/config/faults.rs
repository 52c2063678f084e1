//! What is wrong in a configuration, with the path of each value. Pure.

use crate::yaml::Step;

/// The most problems that are reported for one file. The search for the position of each takes time.
pub(super) const MOST: usize = 20;

/// Something wrong in a configuration.
#[derive(Debug)]
pub(super) struct Fault {
    /// The path of the value.
    pub(super) path: Vec<Step>,
    /// Whether the position is that of the key, not that of the value.
    pub(super) at_key: bool,
    /// What was expected and what was found.
    pub(super) message: String,
}

/// Everything that is wrong in a configuration: the first [`MOST`] faults, and the number of all.
#[derive(Debug, Default)]
pub(super) struct Faults {
    found: Vec<Fault>,
    count: usize,
}

impl Faults {
    /// Adds a fault of a value.
    pub(super) fn at_value(&mut self, path: &[Step], message: impl Into<String>) {
        self.add(path, false, message.into());
    }

    /// Adds a fault of a field as a whole, or of its name.
    pub(super) fn at_key(&mut self, path: &[Step], message: impl Into<String>) {
        self.add(path, true, message.into());
    }

    fn add(&mut self, path: &[Step], at_key: bool, message: String) {
        self.count += 1;
        if self.found.len() < MOST {
            self.found.push(Fault { path: path.to_owned(), at_key, message });
        }
    }

    /// The first faults, and how many there are besides.
    pub(super) fn end(self) -> (Vec<Fault>, usize) {
        let more = self.count - self.found.len();
        (self.found, more)
    }
}
