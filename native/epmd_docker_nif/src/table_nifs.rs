//! The NIF functions of the node table.

use docker_discovery::{Entry, Error, NodeName};
use rustler::{Binary, Encoder, Env, Term};

use crate::nifs::failed;
use crate::{atoms, state};

/// `table_add(Node, Host, Port) -> ok | {error, Reason}`
#[rustler::nif]
fn table_add<'a>(env: Env<'a>, node: Binary<'a>, host: String, port: u16) -> Term<'a> {
    let added = NodeName::parse(&node).and_then(|node| state::table().add(node, Some(host), port));
    match added {
        Ok(()) => atoms::ok().encode(env),
        Err(error) => failed(env, &error),
    }
}

/// `table_remove(Node) -> boolean()`: whether it was there.
#[rustler::nif]
fn table_remove(node: Binary<'_>) -> bool {
    NodeName::parse(&node).is_ok_and(|node| state::table().remove(&node))
}

/// `table_set([{Node, Host, Port}]) -> ok | {error, Reason}`: all of it or nothing.
#[rustler::nif]
fn table_set<'a>(env: Env<'a>, nodes: Vec<(Binary<'a>, String, u16)>) -> Term<'a> {
    let parsed: Result<Vec<_>, Error> = nodes
        .into_iter()
        .map(|(node, host, port)| Ok((NodeName::parse(&node)?, Entry { host, port })))
        .collect();
    match parsed.and_then(|nodes| state::table().set(nodes)) {
        Ok(()) => atoms::ok().encode(env),
        Err(error) => failed(env, &error),
    }
}

/// `table_list() -> [{Node, Host, Port}]`, sorted by node name.
#[rustler::nif]
fn table_list() -> Vec<(String, String, u16)> {
    let entries = state::table().list();
    entries
        .into_iter()
        .map(|(node, entry)| (node.to_string(), entry.host, entry.port))
        .collect()
}
