//! The border between the Erlang VM and `docker_discovery`: atoms, terms, the runtime and the
//! NIF functions, nothing else. Its other side is `src_erl/epmd_docker_nif.erl`.
//!
//! A NIF here never waits. What has to wait runs as a task on our own thread ([`runtime`]) and
//! answers with a message `{epmd_docker_nif, Tag, Result}` ([`job`]).

mod atoms;
mod context;
mod encode;
mod explain;
mod job;
mod nifs;
mod notice;
mod runtime;
mod settings;
mod state;
mod subscription;
mod table_nifs;
mod tls_fault;

/// Number that both sides must agree on; `epmd_docker_nif.erl` has the same. Raise it with every
/// change of a NIF's name, arguments or answer.
const ABI: i64 = 4;

/// Runs at each load of the library, also again after a purge or `init:restart/0`: it may only do
/// what can be done twice. A `false` makes `erlang:load_nif/2` return an error.
///
/// `load_info` is `{Abi, Settings | undefined}`: a library that replaces another one in a node that runs
/// has the settings before anybody can call it.
fn load(_env: rustler::Env<'_>, load_info: rustler::Term<'_>) -> bool {
    let Ok((ABI, map)) = load_info.decode::<(i64, rustler::Term<'_>)>() else {
        return false;
    };
    if let Ok(settings) = settings::decode(map) {
        state::configure(settings);
    }
    true
}

rustler::init!("epmd_docker_nif", load = load);
