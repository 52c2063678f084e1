//! A strict reader of OpenMetrics text (OpenMetrics 1.0) and of the text format of Prometheus (0.0.4), for what the
//! program shows.

use std::collections::{BTreeMap, BTreeSet};

/// One sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// With its suffix.
    pub name: String,
    /// By name.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
}

/// A family of samples.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Family {
    /// `counter`, `gauge`, `histogram`, `info`.
    pub kind: String,
    /// The last part of its name, where it has one.
    pub unit: String,
    /// For people.
    pub help: String,
    /// In the order of the text.
    pub samples: Vec<Sample>,
}

impl Family {
    /// The names of the labels of any sample, without a histogram's `le`.
    pub fn labels(&self) -> BTreeSet<String> {
        let all = self.samples.iter().flat_map(|sample| sample.labels.keys().cloned());
        all.filter(|name| self.kind != "histogram" || name != "le").collect()
    }

    /// The value of the sample that has these labels among its own.
    pub fn value(&self, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |sample: &&Sample| {
            labels.iter().all(|(name, value)| sample.labels.get(*name).is_some_and(|found| found == value))
        };
        self.samples.iter().find(has).map(|sample| sample.value)
    }
}

/// Reads OpenMetrics; the error says what of it is not as the specification wants it.
pub fn parse(text: &str) -> Result<BTreeMap<String, Family>, String> {
    let body = text.strip_suffix("# EOF\n").ok_or("it does not end with # EOF")?;
    families(body, open_metrics_suffixes)
}

/// Reads the text format of Prometheus. It has no units and no end, and a family has the name of its samples. Families
/// are named as OpenMetrics has them.
pub fn parse_text(text: &str) -> Result<BTreeMap<String, Family>, String> {
    if !text.ends_with('\n') {
        return Err("the last line does not end".to_owned());
    }
    let found = families(text, text_suffixes)?;
    let wrong = |(name, family): (&String, &Family)| {
        let total = name.ends_with("_total");
        (total != (family.kind == "counter") || !family.unit.is_empty() || family.help.is_empty()).then(|| name.clone())
    };
    match found.iter().find_map(wrong) {
        Some(name) => Err(format!("{name}: {:?}", found[&name])),
        None => Ok(found.into_iter().map(|(name, family)| (open_metrics_name(&name), family)).collect()),
    }
}

/// The name of a family of the text format in OpenMetrics.
fn open_metrics_name(name: &str) -> String {
    let suffix = ["_total", "_info"].into_iter().find_map(|suffix| name.strip_suffix(suffix));
    suffix.unwrap_or(name).to_owned()
}

/// What the samples of a kind are called behind the name of their family.
type Suffixes = fn(&str) -> Option<&'static [&'static str]>;

fn open_metrics_suffixes(kind: &str) -> Option<&'static [&'static str]> {
    match kind {
        "counter" => Some(&["_total"]),
        "gauge" => Some(&[""]),
        "info" => Some(&["_info"]),
        "histogram" => Some(&["_bucket", "_count", "_sum"]),
        _ => None,
    }
}

fn text_suffixes(kind: &str) -> Option<&'static [&'static str]> {
    match kind {
        "counter" | "gauge" => Some(&[""]),
        "histogram" => Some(&["_bucket", "_count", "_sum"]),
        _ => None,
    }
}

fn families(body: &str, suffixes: Suffixes) -> Result<BTreeMap<String, Family>, String> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    for line in body.lines() {
        let wrong = |what: &str| format!("{what}: {line:?}");
        if let Some(about) = line.strip_prefix("# ") {
            let mut parts = about.splitn(3, ' ');
            let (Some(word), Some(name), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
                return Err(wrong("no descriptor"));
            };
            if name != current {
                if families.contains_key(name) || !is_name(name) {
                    return Err(wrong("a family twice, or no name"));
                }
                name.clone_into(&mut current);
                families.insert(current.clone(), Family::default());
            }
            let family = families.get_mut(name).ok_or_else(|| wrong("no family"))?;
            let place = match word {
                "HELP" => &mut family.help,
                "TYPE" => &mut family.kind,
                "UNIT" => &mut family.unit,
                _ => return Err(wrong("an unknown descriptor")),
            };
            if !place.is_empty() || !family.samples.is_empty() {
                return Err(wrong("a descriptor twice, or after samples"));
            }
            rest.clone_into(place);
        } else {
            let sample = sample(line).ok_or_else(|| wrong("no sample"))?;
            let family = families.get_mut(&current).ok_or_else(|| wrong("a sample without a family"))?;
            family.samples.push(sample);
        }
    }
    for (name, family) in &families {
        check(name, family, suffixes).map_err(|what| format!("{name}: {what}"))?;
    }
    Ok(families)
}

fn check(name: &str, family: &Family, suffixes: Suffixes) -> Result<(), String> {
    if !family.unit.is_empty() && !name.ends_with(&format!("_{}", family.unit)) {
        return Err(format!("the name does not end with its unit {}", family.unit));
    }
    let suffixes = suffixes(&family.kind).ok_or_else(|| format!("type {:?}", family.kind))?;
    let mut seen = BTreeSet::new();
    for sample in &family.samples {
        let suffix = sample.name.strip_prefix(name).filter(|suffix| suffixes.contains(suffix));
        let suffix = suffix.ok_or_else(|| format!("{} is no sample of it", sample.name))?;
        if !seen.insert((sample.name.clone(), sample.labels.clone())) {
            return Err(format!("{sample:?} twice"));
        }
        let fits = match suffix {
            "_total" | "_bucket" | "_count" => sample.value >= 0.0 && sample.value.is_finite(),
            "_info" => (sample.value - 1.0).abs() < f64::EPSILON,
            _ => !sample.value.is_nan(),
        };
        if !fits || (suffix == "_bucket") != (family.kind == "histogram" && sample.labels.contains_key("le")) {
            return Err(format!("{sample:?}"));
        }
    }
    if family.kind == "histogram" { buckets(family) } else { Ok(()) }
}

/// Buckets grow, and the last one is all.
fn buckets(family: &Family) -> Result<(), String> {
    let mut series: BTreeMap<BTreeMap<String, String>, (f64, f64, bool)> = BTreeMap::new();
    for sample in &family.samples {
        let mut labels = sample.labels.clone();
        let bound = labels.remove("le");
        let (count, below, ended) = series.entry(labels).or_insert((-1.0, f64::NEG_INFINITY, false));
        if sample.name.ends_with("_count") {
            *count = sample.value;
        }
        let Some(bound) = bound else { continue };
        let bound: f64 = bound.parse().map_err(|_| format!("{sample:?}"))?;
        if sample.value < *below {
            return Err(format!("{sample:?} has less than the bucket before"));
        }
        (*below, *ended) = (sample.value, bound.is_infinite());
    }
    let whole = |(count, all, ended): &(f64, f64, bool)| *ended && (count - all).abs() < f64::EPSILON;
    if series.values().all(whole) { Ok(()) } else { Err("the last bucket is not all".to_owned()) }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// `name{label="value",…} number`.
fn sample(line: &str) -> Option<Sample> {
    let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, value) = rest.split_once("=\"")?;
            let (value, after) = quoted(value)?;
            if !is_name(label) || labels.insert(label.to_owned(), value).is_some() {
                return None;
            }
            rest = match after.strip_prefix(',') {
                Some(next) if next.starts_with('}') => return None,
                Some(next) => next,
                None => after.starts_with('}').then_some(after)?,
            };
        }
        rest = &rest[1..];
    }
    let value = rest.strip_prefix(' ')?.parse().ok()?;
    is_name(name).then(|| Sample { name: name.to_owned(), labels, value })
}

/// Up to the closing quote, with escapes taken off; and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                escaped @ ('"' | '\\') => escaped,
                _ => return None,
            }),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_what_is_right_and_nothing_else() {
        let good = "# HELP a_bytes Bytes.\n# TYPE a_bytes counter\n# UNIT a_bytes bytes\na_bytes_total{x=\"q\\\"\\\\\\n\",y=\"\"} 3\n# EOF\n";
        let parsed = parse(good).unwrap();
        assert_eq!(parsed["a_bytes"].value(&[("x", "q\"\\\n"), ("y", "")]), Some(3.0));
        let bad = [
            "",
            "# EOF",
            "a 1\n# EOF\n",
            "# TYPE a gauge\nb 1\n# EOF\n",
            "# TYPE a gauge\na 1\na 1\n# EOF\n",
            "# TYPE a gauge\na{x=\"1\",x=\"2\"} 1\n# EOF\n",
            "# TYPE a gauge\na{x=\"1\" y=\"2\"} 1\n# EOF\n",
            "# TYPE a gauge\na{x=\"1\",} 1\n# EOF\n",
            "# TYPE a gauge\na{x=\"\\q\"} 1\n# EOF\n",
            "# TYPE a gauge\na 1\n# TYPE a gauge\n# EOF\n",
            "# TYPE a gauge\n# UNIT a bytes\na 1\n# EOF\n",
            "# TYPE a counter\na 1\n# EOF\n",
            "# TYPE a counter\na_total -1\n# EOF\n",
            "# TYPE a gauge\na one\n# EOF\n",
            "# TYPE a gauge\n\na 1\n# EOF\n",
            "# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\na_count 1\na_sum 1\n# EOF\n",
            "# TYPE a histogram\na_bucket{le=\"1\"} 1\na_count 1\na_sum 1\n# EOF\n",
        ];
        for text in bad {
            assert!(parse(text).is_err(), "{text:?}");
        }
        let good = "# HELP a_total A.\n# TYPE a_total counter\na_total 1\n# HELP b_info B.\n# TYPE b_info gauge\nb_info{v=\"1\"} 1\n";
        assert_eq!(parse_text(good).unwrap().keys().collect::<Vec<_>>(), ["a", "b"]);
        let bad = [
            "",
            "# TYPE a gauge\na 1",
            "# TYPE a gauge\na 1\n# EOF\n",
            "# TYPE a gauge\na 1\n",
            "# HELP a A.\n# TYPE a counter\na_total 1\n",
            "# HELP a_total A.\n# TYPE a_total gauge\na_total 1\n",
            "# HELP a A.\n# TYPE a info\na_info 1\n",
            "# HELP a_bytes A.\n# TYPE a_bytes gauge\n# UNIT a_bytes bytes\na_bytes 1\n",
        ];
        for text in bad {
            assert!(parse_text(text).is_err(), "{text:?}");
        }
    }
}
