//! The stream of events, in whatever pieces it comes.

use hyper::Uri;

use super::{SECRET, is_ours};
use crate::docker::container::Container;
use crate::docker::events::{Event, EventTime, Lines, MAX_LINE};
use crate::error::Error;
use crate::known::Known;

/// Stands for this many letters, so that a small input makes a long line. That takes time, so only
/// in streams with a first byte from here on.
const LONG: (u8, usize) = (1, 60_000);
const WITH_LONG: u8 = 0xf0;
/// More of them than it takes for two of the longest lines.
const MOST_LONG: usize = 40;
const LONGEST_PIECE: usize = 997;

/// A stream; its first byte says how it is cut into pieces.
pub fn events(bytes: &[u8]) {
    let Some((cut, rest)) = bytes.split_first() else {
        return;
    };
    let text = match *cut >= WITH_LONG {
        true => lengthened(rest),
        false => rest.to_vec(),
    };
    let lines = in_pieces(&text, *cut);
    let blank = |line: &&[u8]| !line.trim_ascii().is_empty();
    let mut whole: Vec<_> = text.split(|byte| *byte == b'\n').collect();
    whole.pop();
    // A line that is a little too long may come through, if its end is there in time.
    let fits = |line: &&[u8]| line.len() <= MAX_LINE;
    let expected: Vec<_> = whole.into_iter().filter(blank).filter(fits).collect();
    let came: Vec<_> = lines.iter().map(Vec::as_slice).filter(fits).collect();
    assert_eq!(came, expected);
    happened(&lines);
}

fn lengthened(bytes: &[u8]) -> Vec<u8> {
    let (mut text, mut long) = (Vec::new(), 0);
    for byte in bytes {
        if *byte == LONG.0 && long < MOST_LONG {
            long += 1;
            text.resize(text.len() + LONG.1, b'x');
        } else {
            text.push(*byte);
        }
    }
    text
}

fn in_pieces(text: &[u8], cut: u8) -> Vec<Vec<u8>> {
    let (mut lines, mut found, mut errors) = (Lines::default(), Vec::new(), 0);
    let longest = LONGEST_PIECE.max(text.len() / 64);
    let (mut rest, mut random) = (text, u32::from(cut));
    while !rest.is_empty() {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let length = (random >> 16) as usize % longest + 1;
        let (piece, after) = rest.split_at(length.min(rest.len()));
        rest = after;
        lines.push(piece);
        loop {
            match lines.next() {
                Ok(Some(line)) => found.push(line.to_vec()),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(error, Error::TooLarge(MAX_LINE as u64));
                    errors += 1;
                }
            }
        }
        assert!(lines.held() <= MAX_LINE + longest);
    }
    let too_long = text.split(|byte| *byte == b'\n');
    assert!(errors <= too_long.filter(|line| line.len() > MAX_LINE).count());
    found
}

/// Applies them to an index that knows a container already.
fn happened(lines: &[Vec<u8>]) {
    let known = Known::default();
    known.watched();
    known.stream_begins();
    let mut others = 0;
    for line in lines {
        match Event::decode(line) {
            Ok(None) => {}
            Ok(Some(event)) => {
                others += 1;
                known.apply(&event);
                seen(&known, &event);
            }
            Err(Error::BadResponse(detail)) => {
                assert!(detail.chars().count() <= 200 && !detail.contains(SECRET));
            }
            Err(other) => panic!("{other:?}"),
        }
        let date = std::str::from_utf8(line).ok();
        if let Some(time) = date.and_then(EventTime::parse_date) {
            is_a_path(Some(time));
        }
    }
    known.check();
    assert!(known.count().1 <= others);
    is_a_path(known.last_event());
}

/// Every second one is inspected, and what was seen is news to nobody.
fn seen(known: &Known, event: &Event) {
    if event.time.0.is_multiple_of(2) {
        let body = format!(r#"{{"Id":"{}","State":{{"Running":true}}}}"#, event.id);
        let asked_at = known.mark();
        let container = Container::decode(body.as_bytes()).unwrap();
        known.learn(asked_at, container);
        assert!(!known.is_unseen(&event.id));
    }
}

fn is_a_path(since: Option<EventTime>) {
    let path = EventTime::path(since);
    assert!(is_ours(&path), "{path}");
    assert!(path.parse::<Uri>().is_ok());
}
