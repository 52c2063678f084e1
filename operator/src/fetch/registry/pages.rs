//! Pages of an answer: `Link: <…>; rel="next"` (RFC 8288).

use reqwest::header::{HeaderMap, LINK};

use crate::fetch::FetchError;
use crate::imagelist::SourceUrl;

/// The most pages of one answer.
pub(super) const MOST: usize = 50;

/// The address of the next page. It must be of the same server and path.
pub(super) fn next(from: &SourceUrl, headers: &HeaderMap) -> Result<Option<SourceUrl>, FetchError> {
    let refused = |message: String| FetchError::UrlInvalid { url: from.clone(), message };
    let links = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    let Some(reference) = links.flat_map(|value| value.split(',')).find_map(next_reference) else { return Ok(None) };
    let to = from.join(reference).map_err(|error| refused(format!("the next page: {error}")))?;
    let same = to.url().origin() == from.url().origin() && to.url().path() == from.url().path();
    if same { Ok(Some(to)) } else { Err(refused(format!("expected a next page of the same address, found {to}"))) }
}

fn next_reference(link: &str) -> Option<&str> {
    let (reference, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    let is_next = |one: &str| matches!(one.trim(), "rel=\"next\"" | "rel=next");
    parameters.split(';').any(is_next).then_some(reference)
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn the_next_page_is_of_the_same_address() {
        let from: SourceUrl = "https://host/v2/a/tags/list?n=2".parse().unwrap();
        let cases = [
            ("</v2/a/tags/list?n=2&last=b>; rel=\"next\"", "https://host/v2/a/tags/list?…"),
            ("<?last=b>; rel=next", "https://host/v2/a/tags/list?…"),
            ("</v2/a/tags/list>; rel=\"prev\"", "none"),
            ("", "none"),
            ("</v2/b/tags/list>; rel=\"next\"", "expected a next page of the same address"),
            ("<https://other/v2/a/tags/list>; rel=\"next\"", "expected a next page of the same address"),
            ("<http://host/v2/a/tags/list>; rel=\"next\"", "expected a next page of the same address"),
            ("<file:///etc/passwd>; rel=\"next\"", "expected a next page of the same address"),
            ("<ftp://host/>; rel=\"next\"", "the next page: expected http, https or file"),
        ];
        for (link, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(LINK, HeaderValue::from_static(link));
            let shown = match next(&from, &headers) {
                Ok(None) => "none".to_owned(),
                Ok(Some(url)) => url.to_string(),
                Err(error) => error.to_string(),
            };
            assert!(shown.contains(expected), "{link}: {shown}");
        }
    }
}
