//! What outlives a call: the node table and the resolver with its connections. Statics of a
//! library that is never unloaded, so both survive a reload of the Erlang module.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use docker_discovery::{Resolver, Settings, Table};

use crate::notice;

static TABLE: OnceLock<Table> = OnceLock::new();
static RESOLVER: RwLock<Option<Arc<Resolver>>> = RwLock::new(None);

/// The node table.
pub(crate) fn table() -> &'static Table {
    TABLE.get_or_init(Table::new)
}

/// The resolver for the settings in force; before any were given, for the defaults.
pub(crate) fn resolver() -> Arc<Resolver> {
    let current = RESOLVER
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    current.unwrap_or_else(|| configure(Settings::default()))
}

/// Puts settings in force. The same settings again keep the resolver, and so its connections.
pub(crate) fn configure(settings: Settings) -> Arc<Resolver> {
    let mut slot = RESOLVER.write().unwrap_or_else(PoisonError::into_inner);
    match &*slot {
        Some(resolver) if *resolver.settings() == settings => Arc::clone(resolver),
        _ => {
            let resolver = Arc::new(Resolver::new(settings));
            resolver.listen(notice::tell);
            *slot = Some(Arc::clone(&resolver));
            resolver
        }
    }
}
