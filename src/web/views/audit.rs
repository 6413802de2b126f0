//! An event of the audit trail in words.

use std::collections::HashMap;

use uuid::Uuid;

use crate::{
    domain::{
        audit::{
            AuditRecord,
            event::{ActorKind, AuditAction, AuditOutcome, TargetKind},
        },
        time::Timestamp,
    },
    service::audit::trail::AuditPlace,
};

/// An event as a row of the table.
pub(crate) struct EventView {
    /// Its sequence number in the chain.
    pub(crate) seq: i64,
    /// The time, for `<time datetime>`.
    pub(crate) iso: String,
    /// The time, for people: `2026-01-02 03:04:05`.
    pub(crate) when: String,
    pub(crate) who: String,
    /// The user who did it, for the filter.
    pub(crate) person: Option<Uuid>,
    /// The action.
    pub(crate) what: String,
    /// The kind of the target.
    pub(crate) kind: &'static str,
    pub(crate) target_name: String,
    /// The id of the target, for the filter.
    pub(crate) target: Option<Uuid>,
    /// The page of the target.
    pub(crate) address: Option<String>,
    /// The network address.
    pub(crate) from: String,
    pub(crate) request: String,
    pub(crate) outcome: String,
    /// The CSS class of the outcome.
    pub(crate) class: &'static str,
    pub(crate) detail: String,
}

impl EventView {
    pub(crate) fn new(event: &AuditRecord, places: &HashMap<Uuid, AuditPlace>) -> Self {
        let at = Timestamp::from_millis(event.at);
        let iso = at.to_rfc3339();
        let kind = event.target_kind.as_deref().and_then(TargetKind::parse);
        let outcome = AuditOutcome::parse(&event.outcome);
        let address = event.target.and_then(|id| {
            places.get(&id).map(|place| match place {
                AuditPlace::Credential => format!("/credentials/{id}"),
                AuditPlace::Resource(kind) => format!("/{}/{id}", kind.plural()),
            })
        });
        Self {
            seq: event.seq,
            when: iso.replace('T', " ").chars().take(19).collect(),
            iso,
            who: who(event),
            person: event.actor,
            // An action that this version doesn't know, from a newer version that was used before, is shown as it
            // is.
            what: AuditAction::parse(&event.action).map_or_else(|| event.action.clone(), |action| label(action).to_owned()),
            kind: kind.map_or("", kind_word),
            target_name: event.target_name.clone(),
            target: event.target,
            address,
            from: match (event.address.as_str(), ActorKind::parse(&event.actor_kind)) {
                ("", Some(ActorKind::Server)) => "this server".to_owned(),
                ("", _) => "–".to_owned(),
                (address, _) => address.to_owned(),
            },
            request: event.request.clone(),
            outcome: outcome.map_or_else(|| event.outcome.clone(), |outcome| outcome_word(outcome).to_owned()),
            class: match outcome {
                Some(AuditOutcome::Done) => "verified",
                Some(AuditOutcome::Failed) | None => "unreachable",
                Some(AuditOutcome::Refused) => "rejected",
            },
            detail: event.detail.clone(),
        }
    }
}

fn who(event: &AuditRecord) -> String {
    let name = event.actor_name.as_str();
    match (ActorKind::parse(&event.actor_kind), name) {
        (Some(ActorKind::ApiKey), _) => format!("API key “{name}”"),
        (Some(ActorKind::Nobody), "") => "someone who is not signed in".to_owned(),
        (Some(ActorKind::Nobody), _) => format!("someone, as “{name}”"),
        (Some(ActorKind::Person | ActorKind::Server) | None, _) => name.to_owned(),
    }
}

const fn kind_word(kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::User => "Account",
        TargetKind::Group => "Group",
        TargetKind::Session => "Session",
        TargetKind::Credential => "Credential",
        TargetKind::Resource => "Resource",
        TargetKind::ApiKey => "API key",
    }
}

const fn outcome_word(outcome: AuditOutcome) -> &'static str {
    match outcome {
        AuditOutcome::Done => "Done",
        AuditOutcome::Failed => "Failed",
        AuditOutcome::Refused => "Refused",
    }
}

/// The action in words.
pub(crate) const fn label(action: AuditAction) -> &'static str {
    match action {
        AuditAction::SetUp => "Created the first administrator",
        AuditAction::SignIn => "Signed in",
        AuditAction::SecondFactor => "Entered a two-step verification code",
        AuditAction::SignInLimited => "Sign-ins temporarily blocked",
        AuditAction::SignOut => "Signed out",
        AuditAction::EndSession => "Ended a session",
        AuditAction::AddUser => "Added an account",
        AuditAction::ChangeUser => "Changed an account",
        AuditAction::DisableUser => "Disabled an account",
        AuditAction::EnableUser => "Enabled an account",
        AuditAction::ResetPassword => "Created a password link",
        AuditAction::ChangePassword => "Chose a password",
        AuditAction::EnableSecondFactor => "Turned on two-step verification",
        AuditAction::DisableSecondFactor => "Turned off two-step verification",
        AuditAction::RenewRecoveryCodes => "Created new recovery codes",
        AuditAction::LinkIdentity => "Linked single sign-on",
        AuditAction::HandOver => "Transferred ownership",
        AuditAction::AddGroup => "Added a group",
        AuditAction::ChangeGroup => "Changed a group",
        AuditAction::DeleteGroup => "Deleted a group",
        AuditAction::AddCredential => "Added a credential",
        AuditAction::ChangeCredential => "Changed a credential",
        AuditAction::VerifyCredential => "Verified a credential",
        AuditAction::ShareCredential => "Shared a credential",
        AuditAction::DeleteCredential => "Deleted a credential",
        AuditAction::CreateResource => "Created a source or destination",
        AuditAction::ChangeResource => "Changed a source or destination",
        AuditAction::PreviewResource => "Sent a test request",
        AuditAction::IssueToken => "Got an access token",
        AuditAction::DeleteResource => "Deleted a source or destination",
        AuditAction::AddKey => "Created an API key",
        AuditAction::RevokeKey => "Revoked an API key",
        AuditAction::RejectKey => "Used an invalid API key",
        AuditAction::ExportAudit => "Exported the audit trail",
        AuditAction::ChangeSettings => "Started with a changed setting",
        AuditAction::Refused => "Tried something without permission",
        AuditAction::ForgedForm => "Sent a form that isn't from their session",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::resources::ResourceKind;

    fn record() -> AuditRecord {
        AuditRecord {
            seq: 7,
            at: 1_767_323_045_678,
            actor_kind: "person".into(),
            actor: Some(Uuid::from_u128(1)),
            actor_name: "ana@example.com".into(),
            action: "credential.delete".into(),
            target_kind: Some("credential".into()),
            target: Some(Uuid::from_u128(2)),
            target_name: "Support EU".into(),
            outcome: "done".into(),
            address: "192.0.2.7".into(),
            request: "r1".into(),
            detail: String::new(),
        }
    }

    #[test]
    fn labels_are_words_and_none_is_used_twice() {
        let mut labels: Vec<_> = AuditAction::ALL.iter().map(|action| label(*action)).collect();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), AuditAction::ALL.len());
    }

    #[test]
    fn a_row_is_in_plain_words() {
        let places = HashMap::from([(Uuid::from_u128(2), AuditPlace::Resource(ResourceKind::Destination))]);
        let row = EventView::new(&record(), &places);
        assert_eq!((row.when.as_str(), row.iso.as_str()), ("2026-01-02 03:04:05", "2026-01-02T03:04:05.678Z"));
        assert_eq!((row.who.as_str(), row.what.as_str()), ("ana@example.com", "Deleted a credential"));
        assert_eq!((row.kind, row.outcome.as_str()), ("Credential", "Done"));
        assert_eq!(row.address.unwrap(), format!("/destinations/{}", Uuid::from_u128(2)));
        assert_eq!(EventView::new(&record(), &HashMap::new()).address, None);
    }

    #[test]
    fn whoever_is_not_known_and_what_is_not_known_is_still_shown() {
        let unknown = AuditRecord { actor_kind: "nobody".into(), actor_name: String::new(), ..record() };
        assert_eq!(EventView::new(&unknown, &HashMap::new()).who, "someone who is not signed in");
        let tried = AuditRecord { actor_kind: "nobody".into(), ..record() };
        assert_eq!(EventView::new(&tried, &HashMap::new()).who, "someone, as “ana@example.com”");
        let key = AuditRecord { actor_kind: "api_key".into(), actor_name: "nightly".into(), ..record() };
        assert_eq!(EventView::new(&key, &HashMap::new()).who, "API key “nightly”");
        let newer = AuditRecord { action: "tile.paint".into(), outcome: "odd".into(), address: String::new(), ..record() };
        let newer = AuditRecord { actor_kind: "server".into(), ..newer };
        let row = EventView::new(&newer, &HashMap::new());
        assert_eq!((row.what.as_str(), row.outcome.as_str(), row.from.as_str()), ("tile.paint", "odd", "this server"));
    }
}
