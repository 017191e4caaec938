//! A long list in JSON, read a few elements at a time: reading 10,000
//! containers at once would hold up everybody else on our one thread for 60 ms.

use std::marker::PhantomData;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use tokio::task::yield_now;

use super::decode::bad;
use crate::error::Error;

/// Elements at a time: about 0.2 ms.
const PIECE: usize = 32;

/// The list, and how far it was read.
pub(crate) struct Pieces<T> {
    body: Bytes,
    at: usize,
    ended: bool,
    /// Elements that may still come.
    left: usize,
    of: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Pieces<T> {
    /// More than `most` elements are not believed.
    pub(crate) fn new(body: Bytes, most: usize) -> Result<Self, Error> {
        let mut list = Self {
            body,
            at: 0,
            ended: false,
            left: most,
            of: PhantomData,
        };
        match list.next_byte() {
            Some(b'[') => list.at += 1,
            _ => return Err(no_list()),
        }
        list.ended = list.next_byte() == Some(b']');
        Ok(list)
    }

    /// The next few; none is the end. Lets others have a turn before.
    pub(crate) async fn next(&mut self) -> Result<Vec<T>, Error> {
        yield_now().await;
        let mut piece = Vec::new();
        while piece.len() < PIECE && !self.ended {
            piece.push(self.element()?);
        }
        Ok(piece)
    }

    /// All of it.
    pub(crate) async fn all(mut self) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        loop {
            match self.next().await? {
                piece if piece.is_empty() => return Ok(all),
                piece => all.extend(piece),
            }
        }
    }

    fn element(&mut self) -> Result<T, Error> {
        self.left = self.left.checked_sub(1).ok_or_else(too_long)?;
        let rest = serde_json::Deserializer::from_slice(&self.body[self.at..]);
        let mut rest = rest.into_iter();
        let element = rest.next().ok_or_else(no_list)?;
        let element = element.map_err(|error| bad(&error))?;
        self.at += rest.byte_offset();
        match self.next_byte() {
            Some(b',') => self.at += 1,
            Some(b']') => self.ended = true,
            _ => return Err(no_list()),
        }
        Ok(element)
    }

    /// Where it is then, behind blanks.
    fn next_byte(&mut self) -> Option<u8> {
        let rest = &self.body[self.at..];
        let blanks = rest.iter().take_while(|byte| byte.is_ascii_whitespace());
        self.at += blanks.count();
        self.body.get(self.at).copied()
    }
}

fn no_list() -> Error {
    Error::BadResponse("not a list, or one that is cut off".to_owned())
}

fn too_long() -> Error {
    Error::BadResponse("the list is longer than any that is believed".to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::Value;

    use super::*;

    async fn read(text: &str, most: usize) -> Result<Vec<Value>, Error> {
        Pieces::new(Bytes::copy_from_slice(text.as_bytes()), most)?
            .all()
            .await
    }

    #[tokio::test]
    async fn it_reads_what_serde_json_does() {
        let long = format!("[{}]", vec!["{\"a\": [1, \"]\"]}"; 1000].join(",\n"));
        for text in [
            "[]",
            " [ ] ",
            "[1]",
            "[1 , 2]\n",
            "[[],{}]",
            "[null]",
            &long,
        ] {
            let whole: Vec<Value> = serde_json::from_str(text).unwrap();
            assert_eq!(read(text, 1000).await, Ok(whole), "{text}");
        }
        for text in [
            "", "[", "{}", "null", "[1", "[1,", "[1,]", "[1 2]", "[,]", "[1}", "x",
        ] {
            assert!(
                matches!(read(text, 1000).await, Err(Error::BadResponse(_))),
                "{text}"
            );
        }
        assert_eq!(read("[1, 2]", 1).await, Err(too_long()));
    }
}
