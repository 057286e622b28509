//! What the browser may do with the page: show it, with exactly this style and this script, and ask nobody for anything.

use base64::Engine as _;
use sha2::{Digest as _, Sha256};

/// A Content-Security-Policy of Level 3, for a `<meta>`.
pub(super) fn of(style: &str, script: &str) -> String {
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(style),
        hash(script)
    )
}

fn hash(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_what_a_browser_computes() {
        // The example of MDN and of many test suites: `echo -n "alert..." | openssl dgst -sha256 -binary | base64`.
        assert_eq!(
            hash("alert('Hello, world.');"),
            "qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng="
        );
    }
}
