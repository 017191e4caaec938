//! Settings from the map that `epmd_docker_options` made. Erlang has checked types and ranges;
//! what needs a parser of ours (endpoints, address ranges) is checked here.

use std::time::Duration;

use docker_discovery::{AddressMode, AllowedHosts, ApiVersion, Endpoint, Settings, TlsFiles};
use rustler::{Atom, Decoder, Term};

use crate::atoms;
use crate::context;
use crate::encode;

/// The setting that is wrong, and why.
pub(crate) type BadSetting = (Atom, String);

/// # Errors
/// The first setting that is missing or wrong.
pub(crate) fn decode(map: Term<'_>) -> Result<Settings, BadSetting> {
    let network: Atom = atoms::network();
    let tls = tls_files(map, atoms::docker_tls())?;
    let docker_host = docker_host(map, tls.is_some())?;
    let locator = match docker_host {
        Some(_) => None,
        None => Some(context::locator(map)?),
    };
    Ok(Settings {
        docker_host: docker_host.unwrap_or_default(),
        locator,
        tls,
        daemon_port: value(map, atoms::docker_daemon_port())?,
        remote_tls: tls_files(map, atoms::remote_tls())?,
        allowed_hosts: allowed_hosts(map)?,
        address: address(map)?,
        network: optional(map, network)?,
        dist_port: optional(map, atoms::dist_port())?,
        remote_port: optional(map, atoms::remote_port())?,
        on_host_port: value(map, atoms::on_host_port())?,
        api_version: match optional::<String>(map, atoms::api_version())? {
            Some(text) => Some(checked(atoms::api_version(), ApiVersion::parse(&text))?),
            None => None,
        },
        watch: watch(map)?,
        ..Settings::default()
    })
}

/// `None` where the user has not named one: it is located then.
fn docker_host(map: Term<'_>, tls: bool) -> Result<Option<Endpoint>, BadSetting> {
    let parser = match tls {
        true => Endpoint::parse_tls,
        false => Endpoint::parse,
    };
    let text = optional::<String>(map, atoms::docker_host())?;
    let endpoint = text.map(|text| checked(atoms::docker_host(), parser(&text)));
    endpoint.transpose()
}

/// The folder with the certificates, or `undefined`. Nobody looks into it before it is needed.
fn tls_files(map: Term<'_>, key: Atom) -> Result<Option<TlsFiles>, BadSetting> {
    Ok(optional::<String>(map, key)?.map(TlsFiles::in_dir))
}

fn watch(map: Term<'_>) -> Result<Option<Duration>, BadSetting> {
    let refresh = Duration::from_millis(value(map, atoms::refresh_interval())?);
    Ok(value::<bool>(map, atoms::watch())?.then_some(refresh))
}

fn value<'a, T: Decoder<'a>>(map: Term<'a>, key: Atom) -> Result<T, BadSetting> {
    encode::get(map, key)
        .and_then(|term| term.decode().ok())
        .ok_or_else(|| (key, "missing, or of another type".into()))
}

/// `undefined` is `None`.
pub(crate) fn optional<'a, T: Decoder<'a>>(
    map: Term<'a>,
    key: Atom,
) -> Result<Option<T>, BadSetting> {
    match encode::get(map, key) {
        Some(term) if atoms::undefined() == term => Ok(None),
        Some(_) => value(map, key).map(Some),
        None => Ok(None),
    }
}

pub(crate) fn checked<T, E: ToString>(key: Atom, result: Result<T, E>) -> Result<T, BadSetting> {
    result.map_err(|error| (key, error.to_string()))
}

fn allowed_hosts(map: Term<'_>) -> Result<AllowedHosts, BadSetting> {
    match optional::<Vec<String>>(map, atoms::allowed_hosts())? {
        None => Ok(AllowedHosts::default()),
        Some(entries) => {
            let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
            checked(atoms::allowed_hosts(), AllowedHosts::parse(&entries))
        }
    }
}

fn address(map: Term<'_>) -> Result<AddressMode, BadSetting> {
    let mode: Atom = value(map, atoms::address())?;
    if mode == atoms::auto() {
        Ok(AddressMode::Auto)
    } else if mode == atoms::container() {
        Ok(AddressMode::Container)
    } else if mode == atoms::published() {
        Ok(AddressMode::Published)
    } else {
        Err((
            atoms::address(),
            "must be auto, container or published".into(),
        ))
    }
}
