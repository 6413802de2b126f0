//! What every request handler of the sandbox can reach.

use std::sync::{Arc, atomic::AtomicU64};

use tokio_util::sync::CancellationToken;

use super::{contacts::CreatedContacts, token::TokenIssuer};
use crate::domain::time::Clock;

/// The state that every request handler shares.
pub(super) struct State {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tokens: TokenIssuer,
    pub(super) contacts: CreatedContacts,
    pub(super) token_requests: AtomicU64,
    pub(super) stopping: CancellationToken,
}
