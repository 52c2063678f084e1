//! The formats of metrics, and content negotiation.

use std::fmt::Write as _;

use axum::http::{HeaderMap, header};

/// A format of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposition {
    /// The Prometheus text format 0.0.4, which every client accepts.
    Text,
    /// OpenMetrics 1.0, if the client asks for it.
    OpenMetrics,
}

impl Exposition {
    /// The `Content-Type` of the response.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The format that `Accept` asks for (RFC 9110 section 12.5.1): OpenMetrics if it is listed with at least the
    /// weight of plain text, otherwise text.
    pub(super) fn accepted(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let ranges: Vec<Range<'_>> = values.flat_map(|value| value.split(',')).map(Range::read).collect();
        let weight = |wanted: &dyn Fn(&&Range<'_>) -> bool| {
            ranges.iter().filter(wanted).map(|range| range.weight).max().unwrap_or_default()
        };
        let open_metrics = weight(&|range| range.is_open_metrics());
        let text = weight(&|range| range.kind.eq_ignore_ascii_case("text/plain"));
        if open_metrics > 0 && open_metrics >= text { Self::OpenMetrics } else { Self::Text }
    }

    /// Converts OpenMetrics text to this format.
    pub(super) fn of_open_metrics(self, open_metrics: String) -> String {
        match self {
            Self::OpenMetrics => open_metrics,
            Self::Text => text(&open_metrics),
        }
    }
}

/// One media range of an `Accept` header.
struct Range<'a> {
    kind: &'a str,
    version: Option<&'a str>,
    /// The weight `q` in thousandths.
    weight: u16,
}

impl<'a> Range<'a> {
    fn read(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let mut range = Self { kind: parts.next().unwrap_or_default(), version: None, weight: 1000 };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name.trim().to_ascii_lowercase().as_str() {
                "version" => range.version = Some(value.trim().trim_matches('"')),
                "q" => range.weight = thousandths(value.trim()),
                _ => {}
            }
        }
        range
    }

    fn is_open_metrics(&self) -> bool {
        self.kind.eq_ignore_ascii_case("application/openmetrics-text")
            && matches!(self.version, None | Some("1.0.0" | "0.0.1"))
    }
}

/// A weight (RFC 9110 section 12.4.2) in thousandths; 0 if it is not valid.
fn thousandths(text: &str) -> u16 {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    match (whole, part.len()) {
        ("1", _) if part.bytes().all(|c| c == b'0') => 1000,
        ("0", 0..=3) => format!("{part:0<3}").parse().unwrap_or_default(),
        _ => 0,
    }
}

/// Converts OpenMetrics to the Prometheus text format: families have the suffix of their samples, there are no units,
/// and an info is a gauge.
fn text(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut help = "";
    for line in open_metrics.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("HELP"), Some(_), Some(about)) => help = about,
            (Some("#"), Some("TYPE"), Some(name), Some(kind)) => {
                let (suffix, kind) = match kind {
                    "counter" => ("_total", "counter"),
                    "info" => ("_info", "gauge"),
                    "unknown" => ("", "untyped"),
                    other => ("", other),
                };
                // Writing to a string cannot fail.
                let _ = writeln!(text, "# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}");
            }
            (Some("#"), ..) => {}
            _ => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_metrics_is_for_who_asks_for_it() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;\
                          q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let cases = [
            ("", Exposition::Text),
            ("*/*", Exposition::Text),
            ("text/plain", Exposition::Text),
            ("text/html, application/xhtml+xml, */*;q=0.8", Exposition::Text),
            (prometheus, Exposition::OpenMetrics),
            ("application/openmetrics-text", Exposition::OpenMetrics),
            ("Application/OpenMetrics-Text; Version=\"1.0.0\"; escaping=allow-utf-8", Exposition::OpenMetrics),
            ("application/openmetrics-text; version=2.0.0", Exposition::Text),
            ("application/openmetrics-text;q=0", Exposition::Text),
            ("application/openmetrics-text;q=0.3, text/plain;q=0.7", Exposition::Text),
            ("application/openmetrics-text;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", Exposition::OpenMetrics),
            ("application/openmetrics-text;q=x", Exposition::Text),
        ];
        for (accept, expected) in cases {
            let mut headers = HeaderMap::new();
            if !accept.is_empty() {
                headers.insert(header::ACCEPT, accept.parse().unwrap());
            }
            assert_eq!(Exposition::accepted(&headers), expected, "{accept:?}");
        }
        assert_eq!(Exposition::accepted(&HeaderMap::new()), Exposition::Text);
    }

    #[test]
    fn the_text_format_names_a_family_as_its_samples() {
        let open_metrics = "# HELP a_bytes Bytes.\n# TYPE a_bytes counter\n# UNIT a_bytes bytes\na_bytes_total{x=\"# y\"} 3\n# \
                            HELP b About.\n# TYPE b info\nb_info{v=\"1\"} 1\n# HELP c C.\n# TYPE c gauge\nc 2\n# EOF\n";
        let expected = "# HELP a_bytes_total Bytes.\n# TYPE a_bytes_total counter\na_bytes_total{x=\"# y\"} 3\n# HELP b_info \
                        About.\n# TYPE b_info gauge\nb_info{v=\"1\"} 1\n# HELP c C.\n# TYPE c gauge\nc 2\n";
        assert_eq!(Exposition::Text.of_open_metrics(open_metrics.to_owned()), expected);
        assert_eq!(Exposition::OpenMetrics.of_open_metrics(open_metrics.to_owned()), open_metrics);
    }
}
