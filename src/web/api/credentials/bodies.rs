//! Credentials and verifications as JSON. No type in here can hold a secret on its way out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    domain::{
        access::permission::{Access, Sharing},
        credentials::verification::{self, PastVerification},
    },
    service::credentials::record::CredentialRecord,
    web::api::body::{Hidden, Members},
};

/// One credential, without its secrets.
#[derive(Serialize, ToSchema)]
#[schema(as = Credential)]
pub(crate) struct CredentialBody {
    /// The credential's id.
    id: Uuid,
    /// Its connector.
    connector: String,
    /// Its name, unique for its owner and connector, ignoring case.
    name: String,
    /// Its description; can be empty.
    description: String,
    /// The account at the service; null if you can use the credential but not manage it.
    account: Option<String>,
    /// False if its stored values can't be decrypted, so it can't be used.
    usable: bool,
    /// The result of its last verification: `verified`, `rejected` (someone has to act) or `unreachable` (the service
    /// could not be reached or failed).
    #[schema(example = "verified")]
    status: &'static str,
    /// When it was last verified.
    #[schema(format = DateTime)]
    verified_at: String,
    /// When it was saved.
    #[schema(format = DateTime)]
    created_at: String,
    /// How many resources use it.
    used_by: u64,
    /// What the key's account can do with it: `use` or `manage`.
    #[schema(example = "manage")]
    access: &'static str,
    /// Who can use it: `private` (its owner and people it's shared with) or `everyone`.
    #[schema(example = "private")]
    sharing: &'static str,
    /// Its owner; null if the key's account owns it.
    owner: Option<OwnerBody>,
    /// The values of fields that aren't secret; empty if you can use the credential but not manage it.
    fields: BTreeMap<String, String>,
    /// Fields that have a secret value, which is never shown.
    secrets: Vec<String>,
    /// Where its access tokens come from.
    token_url: Option<String>,
}

/// The owner of a credential.
#[derive(Serialize, ToSchema)]
#[schema(as = Owner)]
pub(crate) struct OwnerBody {
    /// The owner's account.
    id: Uuid,
    /// The owner's name.
    name: String,
    /// The owner's email address.
    email: String,
}

impl From<CredentialRecord> for CredentialBody {
    fn from(record: CredentialRecord) -> Self {
        let tile = record.tile;
        let (mut fields, mut secrets) = (BTreeMap::new(), Vec::new());
        for (field, value) in record.fields {
            match value {
                Some(value) => drop(fields.insert(field.into(), value)),
                None => secrets.push(field.into()),
            }
        }
        Self {
            id: tile.id,
            connector: tile.connector.into(),
            name: tile.name,
            description: tile.description,
            account: tile.account,
            usable: tile.opens,
            status: tile.status.as_str(),
            verified_at: tile.verified_at.to_rfc3339(),
            created_at: record.created_at.to_rfc3339(),
            used_by: tile.used_by,
            access: Access::as_str(tile.access),
            sharing: Sharing::as_str(tile.sharing),
            owner: tile.owner.map(|owner| OwnerBody { id: owner.id, name: owner.name, email: owner.email }),
            fields,
            secrets,
            token_url: record.token_url.map(String::from),
        }
    }
}

/// A page of credentials, newest first.
#[derive(Serialize, ToSchema)]
#[schema(as = CredentialList)]
pub(crate) struct CredentialList {
    /// The credentials.
    pub(crate) items: Vec<CredentialBody>,
    /// The `cursor` for the next page; null on the last page.
    pub(crate) next_cursor: Option<String>,
}

/// A credential to be created.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCredential {
    /// The connector's id.
    #[schema(max_length = 64, pattern = "^[a-z][a-z0-9-]*$")]
    pub(crate) connector: String,
    /// A name, unique for this account and connector.
    #[schema(min_length = 1, max_length = 100)]
    pub(crate) name: String,
    /// A description.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub(crate) description: String,
    /// The values of the connector's fields, by field id. The connector's `fields_schema` describes them.
    #[schema(value_type = BTreeMap<String, String>)]
    pub(crate) fields: Members<Hidden>,
}

/// Changes to a credential. Members you leave out stay the same, including secrets.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CredentialChange {
    /// A new name.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 100)]
    pub(crate) name: Option<String>,
    /// A new description.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub(crate) description: Option<String>,
    /// New values of fields, by field id. Null resets a field that isn't secret to its default.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, Option<String>>)]
    pub(crate) fields: Members<Option<Hidden>>,
}

/// Values to verify. They are not saved.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UnsavedValues {
    /// The connector's id.
    #[schema(max_length = 64, pattern = "^[a-z][a-z0-9-]*$")]
    pub(crate) connector: String,
    /// The values of the connector's fields, by field id.
    #[schema(value_type = BTreeMap<String, String>)]
    pub(crate) fields: Members<Hidden>,
}

/// The result of a verification.
#[derive(Serialize, ToSchema)]
#[schema(as = Verification)]
pub(crate) struct VerificationBody {
    /// The verification's id; null if it isn't stored.
    id: Option<Uuid>,
    /// When it ended; null if it isn't stored.
    #[schema(format = DateTime)]
    at: Option<String>,
    /// Whether the service issued a usable access token.
    passed: bool,
    /// The resulting status of the credential.
    #[schema(example = "verified")]
    status: &'static str,
    /// Every stage, in order.
    stages: Vec<StageBody>,
    /// Why it failed; null if it passed.
    failure: Option<DiagnosisBody>,
    /// A warning if the API doesn't accept the token.
    notice: Option<DiagnosisBody>,
}

/// One stage of a verification.
#[derive(Serialize, ToSchema)]
#[schema(as = Stage)]
pub(crate) struct StageBody {
    /// The stage: `input`, `address`, `connection`, `tls`, `http`, `oauth`, `token` or `probe`.
    #[schema(value_type = String, example = "token")]
    stage: verification::Stage,
    /// The outcome: `passed`, `failed` or `skipped`.
    #[schema(value_type = String, example = "passed")]
    outcome: verification::StageOutcome,
    /// How long it took, in microseconds.
    micros: u64,
}

/// Why something failed, and what to do about it.
#[derive(Serialize, ToSchema)]
#[schema(as = Diagnosis)]
pub(crate) struct DiagnosisBody {
    /// The stage at which it failed.
    #[schema(value_type = String, example = "oauth")]
    stage: verification::Stage,
    /// A code for what went wrong.
    #[schema(value_type = String, example = "invalid_client")]
    code: verification::FaultCode,
    /// Where the cause is: `input`, `service` or `this_server`.
    #[schema(value_type = String, example = "input")]
    blame: verification::Blame,
    /// One sentence on what happened.
    summary: String,
    /// What to do next.
    remedy: String,
    /// The fields that are most likely wrong.
    fields: Vec<String>,
    /// The service's own words, without secrets.
    #[schema(value_type = Option<Object>)]
    service: Option<verification::ServiceWords>,
    /// How many seconds the service asks to wait.
    retry_after: Option<u64>,
}

impl From<verification::Diagnosis> for DiagnosisBody {
    fn from(found: verification::Diagnosis) -> Self {
        Self {
            stage: found.stage,
            code: found.code,
            blame: found.blame,
            summary: found.summary,
            remedy: found.remedy,
            fields: found.fields.into_iter().map(String::from).collect(),
            service: found.service,
            retry_after: found.retry_after,
        }
    }
}

impl From<verification::Verification> for VerificationBody {
    fn from(found: verification::Verification) -> Self {
        let stage =
            |report: verification::StageReport| StageBody { stage: report.stage, outcome: report.outcome, micros: report.micros };
        Self {
            id: None,
            at: None,
            passed: found.passed(),
            status: found.status().as_str(),
            stages: found.stages.into_iter().map(stage).collect(),
            failure: found.failure.map(DiagnosisBody::from),
            notice: found.notice.map(DiagnosisBody::from),
        }
    }
}

impl VerificationBody {
    /// A verification that is stored.
    pub(crate) fn stored(id: Uuid, past: PastVerification) -> Self {
        Self { id: Some(id), at: Some(past.at.to_rfc3339()), ..Self::from(past.verification) }
    }

    /// The body as a value, for inclusion in a problem.
    pub(crate) fn into_value(self) -> serde_json::Value {
        // Strings, numbers and enums always serialize.
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// A page of verifications, newest first.
#[derive(Serialize, ToSchema)]
#[schema(as = VerificationList)]
pub(crate) struct VerificationList {
    /// The verifications.
    pub(crate) items: Vec<VerificationBody>,
    /// The `cursor` for the next page; null on the last page.
    pub(crate) next_cursor: Option<String>,
}
