//! The index with many containers: the time for a list, memory, look-ups. Prints CSV: repetition,
//! series, nanoseconds or bytes. `scripts/bench` runs it and puts it beside the rest.

#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicIsize, Ordering::Relaxed};
use std::time::Instant;

use bytes::Bytes;
use docker_discovery::ContainerRef;
use docker_discovery::bench::{Memory, decode_list};
use serde_json::{Value, json};

const MANY: usize = 10_000;
const SIZES: [usize; 4] = [10, 100, 1000, MANY];
const REPETITIONS: usize = 7;
const LOOKUPS: usize = 20_000;

/// Bytes that are in use.
struct Counting;

static IN_USE: AtomicIsize = AtomicIsize::new(0);

// Safety: all of it is the system's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size() as isize, Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size() as isize, Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    let list = list(MANY);
    for repetition in 1..=REPETITIONS {
        let say = |series: &str, figure: u128| println!("{repetition},{series},{figure}");
        // In turns, so that other load hits both alike.
        for _ in 0..5 {
            say("serde_json", time(|| decode_list(&list).unwrap()));
            let mut memory = Memory::new();
            say("list", time(|| take_over(&mut memory, &list)));
        }
        let (listed, inspected) = bytes(&list);
        say("bytes_listed", listed);
        say("bytes_inspected", inspected);
        for size in SIZES {
            let memory = full(size);
            let names = (0..size).map(name).collect::<Vec<_>>();
            let prefixes: Vec<_> = (0..size)
                .map(|number| id(number)[..12].to_owned())
                .collect();
            say(&format!("lookup_{size}"), lookup(&memory, &names));
            say(&format!("prefix_{size}"), lookup(&memory, &prefixes));
        }
    }
}

fn take_over(memory: &mut Memory, list: &Bytes) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(memory.list(list)).unwrap();
}

fn time<T>(work: impl FnOnce() -> T) -> u128 {
    let start = Instant::now();
    black_box(work());
    start.elapsed().as_nanos()
}

/// Of each container: after the list, and after an inspect of each.
fn bytes(list: &Bytes) -> (u128, u128) {
    let before = IN_USE.load(Relaxed);
    let mut memory = Memory::new();
    take_over(&mut memory, list);
    let listed = IN_USE.load(Relaxed) - before;
    inspect_all(&mut memory, MANY);
    let inspected = IN_USE.load(Relaxed) - before;
    drop(memory);
    let each = |all: isize| all.unsigned_abs() as u128 / MANY as u128;
    (each(listed), each(inspected))
}

fn full(size: usize) -> Memory {
    let mut memory = Memory::new();
    take_over(&mut memory, &list(size));
    inspect_all(&mut memory, size);
    memory
}

fn inspect_all(memory: &mut Memory, size: usize) {
    let mut body: Value =
        serde_json::from_str(include_str!("../tests/fixtures/docker-20.10.24.json")).unwrap();
    for number in 0..size {
        body["Id"] = json!(id(number));
        body["Name"] = json!(format!("/{}", name(number)));
        body["Config"]["Hostname"] = json!(id(number)[..12]);
        memory.inspect(body.to_string().as_bytes()).unwrap();
    }
}

/// The time of one, on the average of many among all of them.
fn lookup(memory: &Memory, references: &[String]) -> u128 {
    let parsed = |text: &String| ContainerRef::parse(text).unwrap();
    let references: Vec<_> = references.iter().map(parsed).collect();
    // A prime step: no order that a cache could learn.
    let at = |step: usize| &references[step * 7919 % references.len()];
    let took = time(|| (0..LOOKUPS).for_each(|step| assert!(memory.knows(at(step)))));
    took / LOOKUPS as u128
}

fn name(number: usize) -> String {
    format!("project-service-{number}")
}

fn id(number: usize) -> String {
    // Ids are hashes: their order is not that of the numbers.
    format!(
        "{:016x}{number:048x}",
        (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    )
}

/// As Docker 20.10 answers `GET /containers/json`.
fn list(size: usize) -> Bytes {
    let container = |number: usize| {
        json!({
            "Id": id(number), "Names": [format!("/{}", name(number))],
            "Image": "registry.example.com/project/service:1.2.3",
            "ImageID": format!("sha256:{}", id(number)),
            "Command": "/app/bin/service foreground", "Created": 1_700_000_000 + number,
            "Ports": [{"IP": "0.0.0.0", "PrivatePort": 4370, "PublicPort": 32_768 + number, "Type": "tcp"}],
            "Labels": {
                "com.docker.compose.project": "project",
                "com.docker.compose.service": format!("service-{number}"),
                "com.docker.compose.version": "2.20.0", "epmd-docker.port": "4370",
                "org.opencontainers.image.title": "service",
            },
            "State": "running", "Status": "Up 2 hours",
            "HostConfig": {"NetworkMode": "project_default"},
            "NetworkSettings": {"Networks": {"project_default": {
                "IPAMConfig": null, "Links": null, "Aliases": null,
                "NetworkID": id(7), "EndpointID": id(number), "Gateway": "172.18.0.1",
                "IPAddress": format!("172.18.{}.{}", number / 256, number % 256),
                "IPPrefixLen": 16, "IPv6Gateway": "", "GlobalIPv6Address": "",
                "GlobalIPv6PrefixLen": 0, "MacAddress": "02:42:ac:12:00:02", "DriverOpts": null,
            }}},
            "Mounts": [],
        })
    };
    let list: Vec<Value> = (0..size).map(container).collect();
    Value::from(list).to_string().into()
}
