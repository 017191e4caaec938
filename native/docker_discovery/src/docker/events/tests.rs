//! What real engines send, and what no engine should.

use proptest::prelude::*;

use super::*;

const ID: &str = "f63bfb5ff4df050105a5983e749b8dd78d4c011131a3f97eb1043e89e766a68b";

fn lines() -> Vec<&'static str> {
    include_str!("../../../tests/fixtures/events-docker-20.10.24.jsonl")
        .lines()
        .collect()
}

#[test]
fn the_life_of_a_container_as_docker_tells_it() {
    let events = lines()
        .into_iter()
        .map(|line| Event::decode(line.as_bytes()).unwrap());
    let events: Vec<_> = events.flatten().collect();
    assert!(events.iter().all(|event| event.id.as_str() == ID));
    assert!(events.windows(2).all(|pair| pair[0].time <= pair[1].time));
    let what: Vec<_> = events.iter().map(|event| event.what).collect();
    use What::*;
    let start = [Created, Network, Other];
    let pause_rename_connect = [Stopped, Other, Other, Network, Network];
    let restart = [Stopped, Network, Network, Other, Other];
    let remove = [Stopped, Network, Removed];
    let life = [start.as_slice(), &pause_rename_connect, &restart, &remove].concat();
    // A network that was removed is told of once more.
    assert_eq!(
        what.iter()
            .filter(|what| **what != Network)
            .collect::<Vec<_>>(),
        life.iter()
            .filter(|what| **what != Network)
            .collect::<Vec<_>>()
    );
    assert_eq!(events[0].name.as_deref(), Some("evc"));
    assert_eq!(events.last().unwrap().name.as_deref(), Some("evd"));
}

#[test]
fn what_does_not_move_a_container_is_no_event() {
    for action in ["exec_create: sh", "exec_start: sh", "top", "kill"] {
        let line = format!(r#"{{"Type":"container","Action":"{action}","Actor":{{"ID":"{ID}"}}}}"#);
        assert_eq!(Event::decode(line.as_bytes()), Ok(None), "{action}");
    }
    let line = format!(
        r#"{{"Type":"container","Action":"health_status: healthy","Actor":{{"ID":"{ID}"}}}}"#
    );
    assert_eq!(
        Event::decode(line.as_bytes()).unwrap().unwrap().what,
        What::Health
    );
    let line =
        format!(r#"{{"Type":"container","Action":"some_new_word","Actor":{{"ID":"{ID}"}}}}"#);
    assert_eq!(
        Event::decode(line.as_bytes()).unwrap().unwrap().what,
        What::Other
    );
    for line in [
        "{}",
        r#"{"Type":"container","Action":"start","Actor":{"ID":"../../x"}}"#,
    ] {
        assert_eq!(Event::decode(line.as_bytes()), Ok(None));
    }
    assert!(Event::decode(b"7").is_err());
}

#[test]
fn a_moment_is_written_as_docker_wants_it() {
    assert_eq!(EventTime::path(None), PATH);
    let path = EventTime::path(Some(EventTime(1_795_252_956_000_000_042)));
    assert!(path.ends_with("%7D&since=1795252956.000000042"), "{path}");
    let date = EventTime::parse_date("Sat, 21 Nov 2026 09:22:36 GMT");
    assert_eq!(date, Some(EventTime(1_795_252_955_000_000_000)));
    assert_eq!(EventTime::parse_date("yesterday"), None);
}

#[test]
fn a_line_that_is_too_long_is_one_error_and_the_next_is_read() {
    let mut cut = Lines::default();
    let mut errors = 0;
    for _ in 0..40 {
        cut.push(&[b'x'; 100_000]);
        errors += usize::from(cut.next().is_err());
        assert!(cut.rest.len() <= MAX_LINE + 100_000);
    }
    assert_eq!(errors, 1);
    cut.push(b"x\nnext\n\r\n\nlast");
    assert_eq!(cut.next().unwrap().as_deref(), Some(b"next".as_slice()));
    assert_eq!(cut.next().unwrap(), None);
    cut.push(b"\n");
    assert_eq!(cut.next().unwrap().as_deref(), Some(b"last".as_slice()));
}

proptest! {
    #[test]
    fn lines_are_the_same_however_the_bytes_come(
        text in "[a-z\n]{0,200}",
        cuts in proptest::collection::vec(0_usize..200, 0..10),
    ) {
        let expected: Vec<_> = text.split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
            .map(|line| line.trim_end_matches('\n'))
            .filter(|line| !line.is_empty())
            .collect();
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for pair in cuts.windows(2) {
            lines.push(&text.as_bytes()[pair[0]..pair[1]]);
            while let Some(line) = lines.next().unwrap() {
                found.push(String::from_utf8(line.to_vec()).unwrap());
            }
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn no_bytes_make_it_panic(line in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Event::decode(&line);
    }
}
