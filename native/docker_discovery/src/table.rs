//! The node table: names that the user told us about. It is memory and nothing
//! else, so that a lookup in it never waits for more than a lock.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::error::Error;
use crate::node_name::NodeName;

/// More nodes than any mesh has; a loop that adds names must not eat the VM.
const MAX_ENTRIES: usize = 65_536;

/// Where a node of the table is. A host stays a host: it is resolved at each
/// use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// A host name, an address or a container reference.
    pub host: String,
    /// The distribution port.
    pub port: u16,
}

/// The node table.
#[derive(Debug, Default)]
pub struct Table {
    entries: RwLock<HashMap<NodeName, Entry>>,
}

impl Table {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a node or replaces it. Without a host, the host part of its name
    /// is meant. [`Error::Busy`] if the table is full.
    pub fn add(&self, node: NodeName, host: Option<String>, port: u16) -> Result<(), Error> {
        let mut entries = self.write();
        if entries.len() >= MAX_ENTRIES && !entries.contains_key(&node) {
            return Err(Error::Busy);
        }
        let host = host.unwrap_or_else(|| node.host().to_owned());
        entries.insert(node, Entry { host, port });
        Ok(())
    }

    /// Removes a node; `false` if it was not there.
    pub fn remove(&self, node: &NodeName) -> bool {
        self.write().remove(node).is_some()
    }

    /// Replaces the whole table; of equal names the last one counts.
    /// [`Error::Busy`], and no change, if they are too many.
    pub fn set(&self, nodes: Vec<(NodeName, Entry)>) -> Result<(), Error> {
        let entries: HashMap<_, _> = nodes.into_iter().collect();
        if entries.len() > MAX_ENTRIES {
            return Err(Error::Busy);
        }
        *self.write() = entries;
        Ok(())
    }

    /// What the table says about this node.
    pub fn get(&self, node: &NodeName) -> Option<Entry> {
        self.read().get(node).cloned()
    }

    /// All of it, sorted by name.
    pub fn list(&self) -> Vec<(NodeName, Entry)> {
        let pair = |(node, entry): (&NodeName, &Entry)| (node.clone(), entry.clone());
        let mut nodes: Vec<_> = self.read().iter().map(pair).collect();
        nodes.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        nodes
    }

    // No code of ours panics under this lock; should it happen all the same,
    // the map is still whole and a poisoned lock must not spread.
    fn read(&self) -> RwLockReadGuard<'_, HashMap<NodeName, Entry>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<NodeName, Entry>> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn node(text: &str) -> NodeName {
        NodeName::parse(text.as_bytes()).unwrap()
    }

    fn entry(host: &str, port: u16) -> Entry {
        let host = host.to_owned();
        Entry { host, port }
    }

    #[test]
    fn without_a_host_the_name_says_it() {
        let table = Table::new();
        table.add(node("a@b"), None, 1).unwrap();
        assert_eq!(table.get(&node("a@b")), Some(entry("b", 1)));
        table.add(node("a@b"), Some("c".into()), 2).unwrap();
        assert_eq!(table.get(&node("a@b")), Some(entry("c", 2)));
        assert!(table.remove(&node("a@b")));
        assert!(!table.remove(&node("a@b")));
    }

    #[test]
    fn set_replaces_all_and_list_is_sorted() {
        let table = Table::new();
        table.add(node("z@z"), None, 1).unwrap();
        let nodes = vec![(node("b@h"), entry("x", 2)), (node("a@h"), entry("y", 3))];
        table.set(nodes).unwrap();
        let names: Vec<_> = table.list().iter().map(|(n, _)| n.to_string()).collect();
        assert_eq!(names, ["a@h", "b@h"]);
    }

    #[test]
    fn a_full_table_says_busy_and_still_replaces() {
        let table = Table::new();
        let name = |i: usize| node(&format!("n{i}@h"));
        let full = (0..MAX_ENTRIES).map(|i| (name(i), entry("h", 1))).collect();
        table.set(full).unwrap();
        assert_eq!(table.add(name(MAX_ENTRIES), None, 1), Err(Error::Busy));
        assert_eq!(table.add(name(0), None, 2), Ok(()));
        let more = (0..=MAX_ENTRIES)
            .map(|i| (name(i), entry("h", 1)))
            .collect();
        assert_eq!(table.set(more), Err(Error::Busy));
        assert_eq!(table.get(&name(0)), Some(entry("h", 2)));
    }
}
