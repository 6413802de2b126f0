//! Limits how many calls to services one user may have in progress. A call takes as long as the service does, so
//! without a limit one browser could keep every connection of this server busy.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{Service, ServiceError, access::caller::Caller};
use crate::domain::users::UserId;

/// The most calls of one user at the same time. A person at a browser needs one or two.
const EACH: usize = 8;

impl Service {
    /// Counts a caller's call to a service until the returned value is dropped.
    pub(super) fn begin_call(&self, caller: &Caller) -> Result<Option<Call>, ServiceError> {
        match caller.user() {
            None => Ok(None),
            Some(user) => self.0.in_flight.begin(user).map(Some).ok_or(ServiceError::TooMany),
        }
    }
}

/// The number of calls in progress of each user.
#[derive(Clone, Default)]
pub(super) struct InFlight(Arc<Mutex<HashMap<UserId, usize>>>);

/// A call in progress, until it is dropped.
pub(super) struct Call {
    all: InFlight,
    of: UserId,
}

impl InFlight {
    /// Counts a user's call; `None` if they have too many in progress.
    pub(super) fn begin(&self, of: UserId) -> Option<Call> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(of).or_default();
        if *count >= EACH {
            return None;
        }
        *count += 1;
        drop(all);
        Some(Call { all: self.clone(), of })
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let mut all = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.of) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn one_person_has_so_many_and_does_not_take_them_from_others() {
        let all = InFlight::default();
        let (ana, ben) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let calls: Vec<_> = (0..EACH).map(|_| all.begin(ana).unwrap()).collect();
        assert!(all.begin(ana).is_none());
        assert!(all.begin(ben).is_some());
        drop(calls);
        assert!(all.begin(ana).is_some());
        assert!(all.0.lock().unwrap().is_empty(), "nobody is remembered for ever");
    }
}
