//! A blob as a stream: its bytes arrive on the runtime and are read by a plain thread.
//!
//! A transfer that breaks off goes on where it was, as often as that brings more of the blob. It is always the
//! registry that is asked, and never the storage that it redirected to: that URL may have expired.

mod chunks;
mod content_range;
mod transfer;

use std::io::Read;
use std::sync::Arc;

use url::Url;

use self::transfer::Transfer;
use super::client::Client;
use super::http::runtime;
use crate::{Descriptor, Error};

/// Asks for the blob at `url` from its byte `from` on, and reads it as it comes once the registry agreed. It is up to
/// the caller to compare it with its descriptor. A reader that is dropped ends the transfer.
pub(super) async fn start(
    client: &Arc<Client>,
    name: &str,
    url: Url,
    descriptor: &Descriptor,
    from: u64,
) -> Result<impl Read + Send + use<>, Error> {
    let (transfer, response) = Transfer::begin(client, name, url, descriptor.size, from).await?;
    let (inlet, chunks) = chunks::chunks(transfer.location(), descriptor.digest, from);
    runtime()?.spawn(transfer.run(response, inlet));
    Ok(chunks)
}
