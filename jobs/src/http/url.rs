//! URLs: which can be used, and where a redirect leads.

use peerless_core::FetchError;
use ureq::http::Uri;

/// Reads an absolute URL with a host.
pub(super) fn parse(text: &str) -> Result<Uri, FetchError> {
    let url: Uri =
        text.parse().map_err(|error: ureq::http::uri::InvalidUri| FetchError::Url(error.to_string()))?;
    match (url.scheme_str(), url.host()) {
        (None, _) => Err(FetchError::Url("no scheme".to_owned())),
        (_, None | Some("")) => Err(FetchError::Url("no host".to_owned())),
        (Some(_), Some(_)) => Ok(url),
    }
}

/// The host without an IPv6 address's brackets, and the port, which may be the scheme's own.
pub(super) fn host_and_port(url: &Uri) -> Option<(&str, u16)> {
    let default = if url.scheme_str() == Some("https") { 443 } else { 80 };
    let host = url.host()?;
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    Some((bare.unwrap_or(host), url.port_u16().unwrap_or(default)))
}

/// What `reference` means on the page `base` (RFC 3986, section 5.2, without the removal of dot
/// segments: servers do that). `None` if it means nothing.
pub(super) fn join(base: &Uri, reference: &str) -> Option<Uri> {
    let (reference, _fragment) = reference.split_once('#').unwrap_or((reference, ""));
    let (scheme, authority) = (base.scheme_str()?, base.authority()?);
    let folder = || base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    let text = if has_scheme(reference) {
        reference.to_owned()
    } else if reference.starts_with("//") {
        format!("{scheme}:{reference}")
    } else if reference.starts_with('/') {
        format!("{scheme}://{authority}{reference}")
    } else if reference.starts_with('?') {
        format!("{scheme}://{authority}{}{reference}", base.path())
    } else {
        format!("{scheme}://{authority}{}/{reference}", folder())
    };
    parse(&text).ok()
}

fn has_scheme(reference: &str) -> bool {
    reference.split_once(':').is_some_and(|(scheme, _)| {
        let mut bytes = scheme.bytes();
        bytes.next().is_some_and(|first| first.is_ascii_alphabetic())
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Pieces of URLs in any order, with what is in none of them.
    fn text() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            4 => prop::sample::select(vec![
                "http:", "https:", "file:", "//", "/", "?", "#", "@", ":", "80", "host", "[::1]", "[", "..", "%2e", "a",
                "\\", " ", "\r\n", "\0", "é",
            ]).prop_map(str::to_owned),
            1 => any::<char>().prop_map(String::from),
        ];
        prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
    }

    #[test]
    fn references_are_read_on_their_page() {
        let base = parse("http://host:80/a/b?c=d").unwrap();
        for (reference, want) in [
            ("https://other/x", "https://other/x"),
            ("//other/x", "http://other/x"),
            ("/x?y", "http://host:80/x?y"),
            ("x", "http://host:80/a/x"),
            ("x?y=http://z", "http://host:80/a/x?y=http://z"),
            ("?x", "http://host:80/a/b?x"),
            ("/x#y", "http://host:80/x"),
        ] {
            assert_eq!(join(&base, reference).map(|url| url.to_string()).as_deref(), Some(want));
        }
    }

    #[test]
    fn what_has_no_host_is_no_url() {
        let base = parse("http://host/").unwrap();
        for text in
            ["file:///etc/passwd", "http://", "http:///x", "/x", "x", "", "http://a b/", "http://[::1"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
        for text in ["file:///etc/passwd", "http://", "data:text/plain,x", "/a b"] {
            assert_eq!(join(&base, text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_redirect_leads_to_a_host_or_nowhere_and_to_another_only_by_its_name(
            base in prop_oneof![
                2 => Just("http://user@host:8080/a/b?c".to_owned()),
                1 => Just("https://[::1]".to_owned()),
                1 => text(),
            ],
            reference in text(),
        ) {
            let Ok(base) = parse(&base) else { return Ok(()) };
            let Some(to) = join(&base, &reference) else { return Ok(()) };
            prop_assert!(host_and_port(&to).is_some_and(|(host, _)| !host.is_empty()), "{to}");
            prop_assert!(!to.to_string().contains(|c: char| c.is_ascii_control() || c == ' ' || c == '#'), "{to}");
            if to.authority() != base.authority() {
                let named = to.host().is_some_and(|host| reference.contains(host));
                prop_assert!(named && reference.contains("//"), "{reference} leads to {to}");
            }
            prop_assert_eq!(parse(&to.to_string()).ok(), Some(to), "it reads differently again");
        }
    }
}
