//! What the fuzz targets (`fuzz/fuzz_targets`) call: each takes any bytes and
//! asserts what has to hold for all of them, which is more than no panic. The
//! seeds in `fuzz/seeds` are run through them as tests, too.

#![allow(clippy::unwrap_used, clippy::panic)]

mod http;
mod json;
mod names;
mod stream;

pub use http::http;
pub use json::{container, list};
pub use names::{endpoint, node_name, settings};
pub use stream::events;

use hyper::Uri;

/// What no error may repeat: it stands for a cookie or a password.
const SECRET: &str = "c0ffee-c00kie";

/// Whether a path is one of the few that are ever asked for.
fn is_ours(path: &str) -> bool {
    let (version, rest) = match path.strip_prefix("/v") {
        Some(versioned) => versioned.split_once('/').unwrap(),
        None => ("1.0", &path[1..]),
    };
    let plain = |text: &str, more: &[u8]| {
        let mut bytes = text.bytes();
        bytes.all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
    };
    let reference = || rest.strip_prefix("containers/")?.strip_suffix("/json");
    let is_path = match reference() {
        Some(reference) => !reference.starts_with('.') && plain(reference, b"_.-"),
        None if rest.starts_with("events?filters=") => plain(&rest[7..], b"=%&."),
        None => matches!(rest, "_ping" | "containers/json?all=1"),
    };
    plain(version, b".") && is_path
}

/// A path with this in it leads to one container, and asks for nothing else.
fn stays_a_segment(reference: &str) {
    let path = format!("/v1.41/containers/{reference}/json");
    assert!(is_ours(&path), "{path}");
    let uri: Uri = format!("http://docker{path}").parse().unwrap();
    assert_eq!((uri.path(), uri.query()), (path.as_str(), None));
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    fn all_seeds_of(name: &str, target: fn(&[u8])) {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
        let files = std::fs::read_dir(seeds.join(name)).unwrap();
        let seeds: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        assert!(!seeds.is_empty());
        for seed in seeds {
            eprintln!("{}", seed.display());
            target(&std::fs::read(&seed).unwrap());
        }
    }

    #[test]
    fn the_seeds_hold() {
        all_seeds_of("node_name", super::node_name);
        all_seeds_of("settings", super::settings);
        all_seeds_of("endpoint", super::endpoint);
        all_seeds_of("container", super::container);
        all_seeds_of("list", super::list);
        all_seeds_of("events", super::events);
        all_seeds_of("http", super::http);
    }
}
