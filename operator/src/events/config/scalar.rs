//! Values of the configuration without parts: switches, sizes, times, paths, words of a set. Pure.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::faults::Faults;
use super::node::{Node, Object};
use crate::duration::{parse_duration, parse_duration_of_at_least};
use crate::size::parse_size;
use crate::text::nearest;
use crate::yaml::one_of;

/// The most bytes of a path: `PATH_MAX` of Linux, less the NUL at its end.
const LONGEST_PATH: usize = 4095;
/// The shortest time that an answer may take.
const SHORTEST: &str = "1s";
/// The longest time that an answer may take.
const LONGEST: &str = "10m";

/// A switch; `default` if it is not there.
pub(super) fn switch(object: &Object<'_>, name: &str, default: bool, faults: &mut Faults) -> Option<bool> {
    let Some(node) = object.field(name) else { return Some(default) };
    let found = node.value.as_bool();
    if found.is_none() {
        node.expected("true or false", faults);
    }
    found
}

/// A number of bytes, as a number or as text with a unit.
pub(super) fn size(node: &Node<'_>, faults: &mut Faults) -> Option<u64> {
    // Helm reads all numbers of its values as floats, and writes large ones so: 2.68435456e+08.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole, and at least 0 and at most 2^53"
    )]
    let whole = |float: f64| ((0.0..=EXACT).contains(&float) && float.fract() == 0.0).then_some(float as u64);
    let number = node.value.as_u64().or_else(|| node.value.as_f64().and_then(whole));
    if number.is_some() {
        return number;
    }
    let Value::String(text) = node.value else {
        node.expected("a number of bytes such as 256Mi", faults);
        return None;
    };
    parse_size(text).map_err(|error| faults.at_value(&node.path, error.to_string())).ok()
}

/// A time in which something has to be done, 1 s to 10 min; `default` if it is not there.
pub(super) fn timeout(object: &Object<'_>, default: Duration, faults: &mut Faults) -> Option<Duration> {
    let Some(node) = object.field("timeout") else { return Some(default) };
    let Value::String(text) = node.value else {
        node.expected("a duration such as 10s", faults);
        return None;
    };
    let parsed = parse_duration_of_at_least(text, SHORTEST).map_err(|error| error.to_string()).and_then(|found| {
        let fits = parse_duration(LONGEST).is_ok_and(|longest| found <= longest);
        if fits { Ok(found) } else { Err(format!("expected at most {LONGEST}, found {text:?}")) }
    });
    parsed.map_err(|message| faults.at_value(&node.path, message)).ok()
}

/// An absolute path.
pub(super) fn path(node: &Node<'_>, faults: &mut Faults) -> Option<PathBuf> {
    let text = node.text("an absolute path", faults)?;
    if !text.starts_with('/') || text.contains('\0') {
        node.expected("an absolute path", faults);
        return None;
    }
    if text.len() > LONGEST_PATH {
        faults.at_value(&node.path, format!("expected a path of at most {LONGEST_PATH} bytes, found {}", text.len()));
        return None;
    }
    Some(PathBuf::from(text))
}

/// The path of a file with a secret; `None` if the field is not there, and after a fault. What was found is in no
/// message: it can be the secret.
pub(super) fn secret_file(object: &Object<'_>, name: &str, faults: &mut Faults) -> Option<PathBuf> {
    object.field(name).and_then(|node| path(&node.secret(), faults))
}

/// One word of a set.
pub(super) fn word<T: Copy>(node: &Node<'_>, known: &[(&str, T)], faults: &mut Faults) -> Option<T> {
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    let expected = one_of(&names);
    let text = node.text(&expected, faults)?;
    let found = known.iter().find(|(name, _)| *name == text).map(|(_, word)| *word);
    if found.is_none() {
        let hint = nearest(text, names.into_iter()).map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
        faults.at_value(&node.path, format!("expected {expected}, found {}{hint}", node.found()));
    }
    found
}
