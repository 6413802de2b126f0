//! What a fault means for the person who fills in the form, said in the words of the connector. The sentences
//! themselves are rows of [`diagnoses`](crate::domain::credentials::diagnoses).
//!
//! Summaries and remedies never contain the value of a field: they are stored in the clear with the verification,
//! while field values are only stored sealed.

use std::time::Duration;

use super::retry_after::{time_in_words, wait_in_words};
use crate::{
    domain::{
        connectors::{
            Connector, FieldId,
            url_template::{RenderError, UrlTemplate},
        },
        credentials::{
            diagnoses::{Again, Case, Remedy, wait, within},
            verification::{Diagnosis, ServiceWords, Stage},
        },
        sentences::{fill, listed},
    },
    upstream::{
        client::fault::{Fault, FaultKind},
        egress::resolver::NameFault,
    },
};

/// What was called: a connector's token endpoint or its API.
#[derive(Clone, Copy)]
pub(in crate::upstream) struct Subject<'a> {
    pub(in crate::upstream) connector: &'a Connector,
    part: Part,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    TokenEndpoint,
    Api,
}

impl<'a> Subject<'a> {
    pub(in crate::upstream) fn token_endpoint(connector: &'a Connector) -> Self {
        Self { connector, part: Part::TokenEndpoint }
    }

    pub(in crate::upstream) fn api(connector: &'a Connector) -> Self {
        Self { connector, part: Part::Api }
    }

    fn url(&self) -> &'a UrlTemplate {
        match self.part {
            Part::TokenEndpoint => &self.connector.token.url,
            Part::Api => &self.connector.api.base_url,
        }
    }

    /// Who was called, at the beginning of a sentence. A connector for any service has no name to give.
    fn who(&self) -> String {
        let free = self.connector.token.url.host_is_free();
        match self.part {
            Part::TokenEndpoint if free => "The service".into(),
            Part::TokenEndpoint => self.connector.name.clone(),
            Part::Api if free => "The API".into(),
            Part::Api => format!("{}'s API", self.connector.name),
        }
    }

    /// True when the host is the service's own and what was typed chooses no more than an account on it.
    fn host_names_an_account(&self) -> bool {
        self.part == Part::TokenEndpoint && self.url().host_is_typed() && !self.url().host_is_free()
    }

    /// The fields that the host is made of.
    pub(in crate::upstream) fn host_fields(&self) -> Vec<FieldId> {
        self.url().host_fields()
    }

    /// The labels of fields as people read them: `Client ID or Client Secret`.
    fn labels(&self, fields: &[FieldId], last: &str) -> String {
        let labels: Vec<&str> = fields.iter().map(|field| self.connector.label(field)).collect();
        listed(&labels, last)
    }

    /// The diagnosis for an exchange that failed.
    pub(in crate::upstream) fn of_fault(&self, fault: Fault) -> Diagnosis {
        let said = |case| self.say(case, fault.stage);
        match fault.kind {
            FaultKind::Name(name) => self.of_name(fault.stage, name),
            FaultKind::Refused => said(Case::ConnectionRefused).done(),
            FaultKind::Failed(None) => said(Case::ConnectionFailed).done(),
            FaultKind::Failed(Some(kind)) => said(Case::ConnectionFailedBecause).part("reason", kind.to_string()).done(),
            FaultKind::TimedOut(limit) => {
                let case = match fault.stage {
                    Stage::Input | Stage::Address | Stage::Connection => Case::ConnectTimedOut,
                    Stage::Tls => Case::TlsTimedOut,
                    _ => Case::ResponseTimedOut,
                };
                said(case).part("within", within(limit)).done()
            }
            FaultKind::Unfinished(limit) => said(Case::ResponseUnfinished).part("within", within(Some(limit))).done(),
            FaultKind::QueueTimedOut => said(Case::QueueTimedOut).done(),
            FaultKind::CertificateExpired => said(Case::CertificateExpired).done(),
            FaultKind::CertificateNotYetValid => said(Case::CertificateNotYetValid).done(),
            FaultKind::CertificateWrongName => said(Case::CertificateWrongName).done(),
            FaultKind::CertificateUnknownAuthority => said(Case::CertificateUnknownAuthority).done(),
            FaultKind::CertificateOfAuthority => said(Case::CertificateOfAuthority).done(),
            FaultKind::NotTls => said(Case::NotTls).done(),
            FaultKind::Tls(reason) => said(Case::TlsFailed).part("reason", reason).done(),
            FaultKind::NotHttp => match self.part {
                Part::TokenEndpoint => said(Case::NotHttpToken).done(),
                Part::Api => said(Case::NotHttpApi).done(),
            },
            FaultKind::HeadTooLarge => said(Case::HeadTooLarge).done(),
            FaultKind::Cut => said(Case::ResponseCut).done(),
            FaultKind::TooLarge => said(Case::ResponseTooLarge).fields(self.address_fields()).done(),
            FaultKind::Internal => said(Case::NotStarted).done(),
        }
    }

    fn of_name(&self, stage: Stage, fault: NameFault) -> Diagnosis {
        let fields = self.host_fields();
        match fault {
            NameFault::NoSuchHost if fields.is_empty() => self.say(Case::NoSuchHost, stage).done(),
            NameFault::NoSuchHost if self.host_names_an_account() => {
                let choices = self.labels(&self.url().host_choices(), "and");
                let case = if choices.is_empty() { Case::NoSuchAccount } else { Case::NoSuchAccountForChoice };
                self.say(case, stage).part("choices", choices).fields(self.address_fields()).done()
            }
            NameFault::NoSuchHost => self.say(Case::NoSuchChosenHost, stage).fields(self.address_fields()).done(),
            NameFault::ResolverFailed(reason) => self.say(Case::ResolverFailed, stage).part("reason", reason).done(),
            NameFault::AddressRefused(kind) if self.url().host_is_free() => {
                self.say(Case::ChosenAddressRefused, stage).part("kind", kind.into()).fields(fields).done()
            }
            NameFault::AddressRefused(kind) => self.say(Case::AddressRefused, stage).part("kind", kind.into()).done(),
        }
    }

    /// A token endpoint, or what was taken for one, says that there is nothing (404 or 410).
    pub(in crate::upstream) fn not_found(&self, stage: Stage, status: u16) -> Diagnosis {
        let fields = self.address_fields();
        let case = match () {
            () if self.host_names_an_account() => Case::AccountNotFound,
            () if fields.is_empty() => Case::AddressNotFound,
            () => Case::ChosenAddressNotFound,
        };
        self.say(case, stage).status(status).fields(fields).done()
    }

    /// Begins a diagnosis of a case.
    pub(in crate::upstream) fn say(&self, case: Case, stage: Stage) -> Saying<'a> {
        Saying { subject: *self, case, stage, fields: Vec::new(), parts: Vec::new(), wait: None }
    }

    /// What a failure that may pass says of the values.
    fn again(&self, stage: Stage) -> Again {
        match stage < Stage::Http {
            true if self.host_fields().is_empty() => Again::NotTheValues,
            true => Again::HostFields,
            false => Again::Unknown,
        }
    }

    /// The fields that the address is made of.
    pub(in crate::upstream) fn address_fields(&self) -> Vec<FieldId> {
        let mut fields: Vec<FieldId> = Vec::new();
        for field in self.url().references().filter_map(|reference| reference.field()) {
            if !fields.contains(field) {
                fields.push(field.clone());
            }
        }
        fields
    }
}

/// A diagnosis that is being put into words: its row, and what stands in for the parts of the row's sentences.
pub(in crate::upstream) struct Saying<'a> {
    subject: Subject<'a>,
    case: Case,
    stage: Stage,
    fields: Vec<FieldId>,
    parts: Vec<(&'static str, String)>,
    wait: Option<u64>,
}

impl Saying<'_> {
    /// The fields most likely at fault.
    pub(in crate::upstream) fn fields(self, fields: Vec<FieldId>) -> Self {
        Self { fields, ..self }
    }

    /// The status that came back.
    pub(in crate::upstream) fn status(self, status: u16) -> Self {
        self.part("status", status.to_string())
    }

    /// For how many seconds the service asks to be left alone, if it says so.
    pub(in crate::upstream) fn wait(self, wait: Option<u64>) -> Self {
        Self { wait, ..self }
    }

    /// Another part of the sentences.
    pub(in crate::upstream) fn part(mut self, name: &'static str, value: String) -> Self {
        self.parts.push((name, value));
        self
    }

    /// The diagnosis, without words of the service.
    pub(in crate::upstream) fn done(self) -> Diagnosis {
        let Self { subject, case, stage, fields, parts, wait } = self;
        let row = case.row();
        let who = subject.who();
        let wait = wait.map(|seconds| fill(wait::KNOWN, &[("time", &wait_in_words(seconds))]));
        let (named, remedy) = match row.remedy {
            Remedy::Say(text) => (fields.clone(), text),
            Remedy::Fields(_, text) if fields.is_empty() => (Vec::new(), text),
            Remedy::Fields(text, _) => (fields.clone(), text),
            Remedy::Again => (subject.host_fields(), subject.again(stage).sentence()),
        };
        let mut all = vec![
            ("Who", who.clone()),
            ("who", mid_sentence(&who)),
            ("fields", subject.labels(&fields, "or")),
            ("each_field", subject.labels(&named, "and")),
            ("when", wait.clone().unwrap_or_else(|| wait::SOON.to_owned())),
            ("later", wait.unwrap_or_else(|| wait::LATER.to_owned())),
        ];
        all.extend(parts);
        let all: Vec<(&str, &str)> = all.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let (summary, remedy) = (fill(row.summary, &all), fill(remedy, &all));
        Diagnosis { stage, code: row.code, blame: row.blame, summary, remedy, fields, service: None, retry_after: None }
    }
}

/// How long was waited.
fn within(limit: Option<Duration>) -> String {
    limit.map_or_else(|| within::UNKNOWN.to_owned(), |limit| fill(within::KNOWN, &[("time", &time_in_words(limit))]))
}

/// The values don't make a request that can be sent.
#[derive(Debug)]
pub(in crate::upstream) struct InputFault {
    pub(in crate::upstream) field: Option<FieldId>,
    /// A sentence for the person who fills in the form.
    pub(in crate::upstream) reason: String,
}

impl From<RenderError> for InputFault {
    fn from(error: RenderError) -> Self {
        Self { field: error.field, reason: error.reason }
    }
}

impl From<InputFault> for Diagnosis {
    fn from(fault: InputFault) -> Self {
        let row = Case::InvalidInput.row();
        Self {
            stage: Stage::Input,
            code: row.code,
            blame: row.blame,
            summary: row.summary.to_owned(),
            remedy: fault.reason,
            fields: fault.field.into_iter().collect(),
            service: None,
            retry_after: None,
        }
    }
}

/// Adds what the service said.
pub(in crate::upstream) fn with_words(diagnosis: Diagnosis, words: ServiceWords, retry_after: Option<u64>) -> Diagnosis {
    Diagnosis { service: Some(words), retry_after, ..diagnosis }
}

/// `The API` inside a sentence; a name stays as it is.
fn mid_sentence(who: &str) -> String {
    match who.strip_prefix("The ") {
        Some(rest) => format!("the {rest}"),
        None => who.to_owned(),
    }
}
