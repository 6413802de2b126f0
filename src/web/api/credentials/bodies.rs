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
    /// Its id.
    id: Uuid,
    /// The connector whose fields it fills.
    connector: String,
    /// Its name, unique for its owner and connector without regard to case.
    name: String,
    /// Its description, or an empty text.
    description: String,
    /// Which account it is for; null for who may only use it.
    account: Option<String>,
    /// False where its sealed values do not open, so that it is of no use.
    usable: bool,
    /// How its last verification ended: `verified`, `rejected` (somebody has to act) or `unreachable` (the service failed).
    #[schema(example = "verified")]
    status: &'static str,
    /// When that was.
    #[schema(format = DateTime)]
    verified_at: String,
    /// When it was saved.
    #[schema(format = DateTime)]
    created_at: String,
    /// How many resources use it.
    used_by: u64,
    /// What the account of the key may do with it: `use` or `manage`.
    #[schema(example = "manage")]
    access: &'static str,
    /// Who may use it: `private` or `everyone`.
    #[schema(example = "private")]
    sharing: &'static str,
    /// Whose it is, unless it is the account's own.
    owner: Option<OwnerBody>,
    /// The value of each field that is no secret; empty for who may only use the credential.
    fields: BTreeMap<String, String>,
    /// The fields whose value is secret: it is there, and never shown.
    secrets: Vec<String>,
    /// Where its access tokens come from.
    token_url: Option<String>,
}

/// Whose something is.
#[derive(Serialize, ToSchema)]
#[schema(as = Owner)]
pub(crate) struct OwnerBody {
    /// The account.
    id: Uuid,
    /// The name of the person.
    name: String,
    /// The e-mail address.
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
    /// The `cursor` of the next page; null on the last.
    pub(crate) next_cursor: Option<String>,
}

/// A credential to be created.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCredential {
    /// The id of the connector.
    #[schema(max_length = 64, pattern = "^[a-z][a-z0-9-]*$")]
    pub(crate) connector: String,
    /// Its name, unique for the account and the connector.
    #[schema(min_length = 1, max_length = 100)]
    pub(crate) name: String,
    /// Its description.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub(crate) description: String,
    /// The values of the connector's fields, by their ids. What they may be says the `fields_schema` of the connector.
    #[schema(value_type = BTreeMap<String, String>)]
    pub(crate) fields: Members<Hidden>,
}

/// What is to be changed of a credential. What is left out stays as it is, secrets too.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CredentialChange {
    /// Another name.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 100)]
    pub(crate) name: Option<String>,
    /// Another description.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub(crate) description: Option<String>,
    /// Other values of fields, by their ids; null for the value that a field has when nothing is said.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, Option<String>>)]
    pub(crate) fields: Members<Option<Hidden>>,
}

/// Values to be verified, of which nothing is stored.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UnsavedValues {
    /// The id of the connector.
    #[schema(max_length = 64, pattern = "^[a-z][a-z0-9-]*$")]
    pub(crate) connector: String,
    /// The values of the connector's fields, by their ids.
    #[schema(value_type = BTreeMap<String, String>)]
    pub(crate) fields: Members<Hidden>,
}

/// What a verification found.
#[derive(Serialize, ToSchema)]
#[schema(as = Verification)]
pub(crate) struct VerificationBody {
    /// Its id; null for one that is not stored.
    id: Option<Uuid>,
    /// When it ended; null for one that is not stored.
    #[schema(format = DateTime)]
    at: Option<String>,
    /// Whether the service has issued an access token that can be used.
    passed: bool,
    /// The status that it gives a credential.
    #[schema(example = "verified")]
    status: &'static str,
    /// Every stage, in order.
    stages: Vec<StageBody>,
    /// Why it did not pass; null where it did.
    failure: Option<DiagnosisBody>,
    /// What the API makes of the token, where it does not take it.
    notice: Option<DiagnosisBody>,
}

/// One stage of a verification.
#[derive(Serialize, ToSchema)]
#[schema(as = Stage)]
pub(crate) struct StageBody {
    /// Which: `input`, `address`, `connection`, `tls`, `http`, `oauth`, `token` or `probe`.
    #[schema(value_type = String, example = "token")]
    stage: verification::Stage,
    /// How it ended: `passed`, `failed` or `skipped`.
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
    /// What went wrong, as a word.
    #[schema(value_type = String, example = "invalid_client")]
    code: verification::FaultCode,
    /// Where the cause lies: `input`, `service` or `this_server`.
    #[schema(value_type = String, example = "input")]
    blame: verification::Blame,
    /// One sentence on what happened.
    summary: String,
    /// What to do next.
    remedy: String,
    /// The fields most likely at fault.
    fields: Vec<String>,
    /// The service's own words, without secrets.
    #[schema(value_type = Option<Object>)]
    service: Option<verification::ServiceWords>,
    /// For how many seconds the service asks to be left alone.
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
    /// The `cursor` of the next page; null on the last.
    pub(crate) next_cursor: Option<String>,
}
