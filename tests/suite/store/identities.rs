//! Who people are at a provider of single sign-on, on both databases.

use keytile::{
    crypto::random,
    domain::{
        account::{Email, Role, UserState},
        audit::{AuditAction, AuditOutcome, TargetKind},
        naming::Name,
        time::Timestamp,
    },
    store::{Identity, IdentityLink, IdentityUserInsert, NewUser, Store},
};

use super::{on_both_databases, samples::audit};

const NOW: Timestamp = Timestamp::from_millis(1_000);
