//! What `benches/index.rs` measures, and nothing for anybody else: only with the feature `bench`.

use std::sync::Arc;

use bytes::Bytes;

use crate::docker::container::Container;
use crate::docker::find::Wanted;
use crate::docker::list::{Listed, MAX_CONTAINERS};
use crate::docker::pieces::Pieces;
use crate::error::Error;
use crate::index::Index;
use crate::node_name::ContainerRef;

/// Decodes a list of containers by `serde_json` alone; says how many there are.
pub fn decode_list(body: &[u8]) -> Result<usize, serde_json::Error> {
    let list: Vec<Listed> = serde_json::from_slice(body)?;
    Ok(std::hint::black_box(list).len())
}

/// The index of a daemon that is followed.
#[derive(Debug)]
pub struct Memory(Index);

impl Memory {
    /// Knows nothing yet.
    #[must_use]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        let mut index = Index::default();
        index.stream_begins();
        Self(index)
    }

    /// Takes over a list, as its bytes have come, in the same parts as the watch does.
    pub async fn list(&mut self, body: &Bytes) -> Result<(), Error> {
        let asked_at = self.0.list_begins();
        let mut list = Pieces::<Listed>::new(body.clone(), MAX_CONTAINERS)?;
        loop {
            let part = list.next().await?;
            if part.is_empty() {
                break;
            }
            self.0.apply_list(asked_at, &part);
        }
        self.0.list_ends(asked_at);
        Ok(())
    }

    /// Takes over an inspect, as its bytes have come.
    pub fn inspect(&mut self, body: &[u8]) -> Result<(), Error> {
        let container = Arc::new(Container::decode(body)?);
        self.0.learn(self.0.mark(), &container);
        Ok(())
    }

    /// Whether that container is known for sure.
    #[must_use]
    pub fn knows(&self, reference: &ContainerRef) -> bool {
        self.0.get(&Wanted::Ref(reference)).is_some()
    }
}
