//! The form of the overlay: every field with its value, its error and everything shown around it.

use uuid::Uuid;

use super::{
    form_place::FormPlace,
    verification::{DiagnosisView, StageView, stages},
};
use crate::{
    domain::{
        connectors::{Connector, Field, FieldId, context::Context, format::FieldFormat, template::Reference},
        credentials::{
            form::FieldError,
            values::{FieldValue, FieldValues},
            verification::Verification,
        },
        time::Timestamp,
    },
    service::credentials::drafts::FormState,
    web::{http::extract::Flow, state::SandboxHints, views::relative_time::Age},
};

/// What is wrong with the submitted form.
#[derive(Clone, Copy)]
pub(crate) enum Problem<'a> {
    /// Nothing, or nothing was submitted yet.
    None,
    Invalid(&'a [FieldError]),
    Rejected(&'a Verification),
    /// The edited credential was changed by someone else in the meantime.
    Outdated,
}

pub(crate) struct FormView<'a> {
    /// The page that it belongs to.
    pub(crate) place: FormPlace,
    pub(crate) draft: Uuid,
    /// The CSRF token.
    pub(crate) form_token: String,
    /// As typed.
    pub(crate) name: &'a str,
    pub(crate) name_error: Option<&'a str>,
    /// As typed.
    pub(crate) description: &'a str,
    pub(crate) description_error: Option<&'a str>,
    /// The heading above the connector's fields.
    pub(crate) section: &'a str,
    /// The fields that are always visible.
    pub(crate) fields: Vec<FieldView<'a>>,
    /// The fields in the collapsed section.
    pub(crate) advanced: Vec<FieldView<'a>>,
    /// The labels of `advanced`, as a phrase.
    pub(crate) advanced_labels: String,
    /// True if the collapsed section must be open, because one of its fields needs attention.
    pub(crate) advanced_open: bool,
    /// Every error, for the summary: field id, label, message.
    pub(crate) errors: Vec<(&'a str, &'a str, &'a str)>,
    /// Why the verification failed.
    pub(crate) rejection: Option<DiagnosisView<'a>>,
    /// True if the edited credential was changed by someone else in the meantime.
    pub(crate) outdated: bool,
    /// The stages of the failed verification.
    pub(crate) stages: Vec<StageView<'a>>,
    /// When the input was typed, if it was restored.
    pub(crate) restored: Option<Age>,
    /// What the sandbox accepts.
    pub(crate) hints: Option<HintsView<'a>>,
}

/// What the sandbox accepts.
pub(crate) struct HintsView<'a> {
    /// Label, field id and value of what works.
    pub(crate) values: Vec<(&'a str, &'static str, &'static str)>,
    /// The label of the field that chooses a behaviour.
    pub(crate) behaviour_label: &'a str,
    /// Values that cause failures, and their effect.
    pub(crate) behaviours: &'static [(&'static str, &'static str)],
}

/// One field of the connector.
pub(crate) struct FieldView<'a> {
    /// Its id, which is also its name in the form.
    pub(crate) id: &'a str,
    pub(crate) label: &'a str,
    /// A sentence, or empty.
    pub(crate) help: &'a str,
    /// May be empty.
    pub(crate) example: &'a str,
    /// As typed, or the default; always empty for a secret.
    pub(crate) value: &'a str,
    /// True if its value is never shown.
    pub(crate) secret: bool,
    /// True if the draft has a value for it, or a value is stored.
    pub(crate) kept: bool,
    /// True if that value is the stored one.
    pub(crate) stored: bool,
    pub(crate) required: bool,
    /// The name of its format in connector files.
    pub(crate) format: &'static str,
    pub(crate) error: Option<&'a str>,
    /// True if a failed verification points at it.
    pub(crate) suspect: bool,
    /// The text in front of the value.
    pub(crate) prefix: Affix<'a>,
    /// The text after the value.
    pub(crate) suffix: Affix<'a>,
    /// The domains of URLs that may be pasted, as a JSON list of templates, or empty.
    pub(crate) hosts: String,
    /// The options, if it has some.
    pub(crate) options: Vec<OptionView<'a>>,
    /// True if it takes the whole width.
    pub(crate) wide: bool,
    /// The token URL, shown below the last field that it contains.
    pub(crate) token_url: Option<Affix<'a>>,
}

/// A text made from values, and the template with which script updates it during typing.
pub(crate) struct Affix<'a> {
    pub(crate) text: String,
    pub(crate) template: &'a str,
}

pub(crate) struct OptionView<'a> {
    pub(crate) id: &'a str,
    pub(crate) label: &'a str,
    /// The attributes that templates use, as a JSON object.
    pub(crate) attributes: String,
    pub(crate) chosen: bool,
}

impl<'a> FormView<'a> {
    /// The view of the form of a new credential.
    pub(crate) fn new(
        flow: &'a Flow,
        state: &'a FormState,
        problem: Problem<'a>,
        form_token: &str,
        hints: Option<SandboxHints>,
        now: Timestamp,
    ) -> Self {
        Self::at(FormPlace::new_credential(flow), (&flow.connector, state), problem, form_token, hints, now)
    }

    /// The view of a connector's form on any page.
    pub(crate) fn at(
        place: FormPlace,
        (connector, state): (&'a Connector, &'a FormState),
        problem: Problem<'a>,
        form_token: &str,
        hints: Option<SandboxHints>,
        now: Timestamp,
    ) -> Self {
        let mut builder =
            Builder { connector, state, problem, values: plain_values(state), token_url_after: token_url_field(connector) };
        let mut fields = builder.fields(false);
        pair(&mut fields);
        let mut advanced = builder.fields(true);
        pair(&mut advanced);
        let errors = match problem {
            Problem::Invalid(errors) => {
                errors.iter().map(|error| (error.field.as_str(), label(connector, &error.field), error.message.as_str())).collect()
            }
            _ => Vec::new(),
        };
        let (rejection, stages) = match problem {
            Problem::Rejected(verification) => (verification.failure.as_ref().map(DiagnosisView::new), stages(verification)),
            _ => (None, Vec::new()),
        };
        Self {
            place,
            outdated: matches!(problem, Problem::Outdated),
            draft: state.draft,
            form_token: form_token.to_owned(),
            name: &state.name,
            name_error: builder.error("name"),
            description: &state.description,
            description_error: builder.error("description"),
            section: &connector.section,
            advanced_labels: advanced.iter().map(|field| in_sentence(field.label)).collect::<Vec<_>>().join(", "),
            advanced_open: builder.is_advanced_open(),
            fields,
            advanced,
            errors,
            rejection,
            stages,
            restored: state.restored_from.map(|at| Age::of(at, now)),
            hints: hints.map(|hints| HintsView::new(connector, hints)),
        }
    }

    /// True if the submitted form has an error.
    pub(crate) fn has_problem(&self) -> bool {
        !self.errors.is_empty() || self.rejection.is_some() || self.outdated
    }

    pub(crate) fn save_label(&self) -> &'static str {
        if self.rejection.as_ref().is_some_and(|rejection| rejection.passing) { "Try again" } else { "Save" }
    }
}

struct Builder<'a> {
    connector: &'a Connector,
    state: &'a FormState,
    problem: Problem<'a>,
    values: FieldValues,
    token_url_after: Option<&'a FieldId>,
}

impl<'a> Builder<'a> {
    fn fields(&mut self, advanced: bool) -> Vec<FieldView<'a>> {
        let connector = self.connector;
        connector.fields.iter().filter(|field| field.advanced == advanced).map(|field| self.field(field)).collect()
    }

    fn field(&self, field: &'a Field) -> FieldView<'a> {
        let context = Context::new(&self.connector.fields, &self.values);
        let typed = self.state.values.get(&field.id).map(String::as_str).filter(|_| !field.secret);
        let value = typed.or(field.default.as_deref().filter(|_| !field.secret)).unwrap_or_default();
        let chosen = if field.options.iter().any(|option| option.id == value) {
            value
        } else {
            field.default.as_deref().unwrap_or_default()
        };
        let stored = self.state.stored_secrets.contains(&field.id);
        let error = self.error(field.id.as_str());
        // The error of a stored secret says that it can't be kept this time.
        let kept = self.state.kept_secrets.contains(&field.id) && !(stored && error.is_some());
        let url = &self.connector.token.url;
        FieldView {
            id: field.id.as_str(),
            label: &field.label,
            help: &field.help,
            example: &field.example,
            value,
            secret: field.secret,
            kept,
            stored,
            required: !field.optional && field.default.is_none() && !kept,
            format: field.format.as_str(),
            error,
            suspect: self.suspects(&field.id),
            prefix: Affix { text: field.prefix.render_plain(&context), template: field.prefix.source() },
            suffix: Affix { text: field.suffix.render_plain(&context), template: field.suffix.source() },
            hosts: hosts(field),
            options: options(field, chosen),
            wide: is_wide(field),
            token_url: (self.token_url_after == Some(&field.id))
                .then(|| Affix { text: url.preview(&context), template: url.source() }),
        }
    }

    fn error(&self, field: &str) -> Option<&'a str> {
        match self.problem {
            Problem::Invalid(errors) => errors.iter().find(|error| error.field == field).map(|error| error.message.as_str()),
            _ => None,
        }
    }

    fn suspects(&self, field: &FieldId) -> bool {
        match self.problem {
            Problem::Rejected(verification) => verification.failure.as_ref().is_some_and(|failure| failure.fields.contains(field)),
            _ => false,
        }
    }

    /// The advanced section is open if one of its fields has an error, or differs from its initial value.
    fn is_advanced_open(&self) -> bool {
        self.connector.fields.iter().filter(|field| field.advanced).any(|field| {
            let typed = self.state.values.get(&field.id).map(|typed| typed.trim()).filter(|typed| !typed.is_empty());
            let changed = typed.is_some_and(|typed| Some(typed) != field.default.as_deref());
            changed || self.error(field.id.as_str()).is_some() || self.suspects(&field.id)
        })
    }
}

impl<'a> HintsView<'a> {
    fn new(connector: &'a Connector, hints: SandboxHints) -> Self {
        Self {
            values: hints.values.iter().map(|(field, value)| (label(connector, field), *field, *value)).collect(),
            behaviour_label: label(connector, hints.behaviour_field),
            behaviours: hints.behaviours,
        }
    }
}

/// The label of a field, of the connector or of the credential itself.
fn label<'a>(connector: &'a Connector, field: &'a str) -> &'a str {
    match field {
        "name" => "Credential Name",
        "description" => "Credential Description",
        _ => connector.field(field).map_or(field, |field| &field.label),
    }
}

/// The values that templates may show. The form's state contains no secrets.
fn plain_values(state: &FormState) -> FieldValues {
    let mut values = FieldValues::default();
    for (field, value) in &state.values {
        values.insert(field.clone(), FieldValue::Plain(value.trim().to_owned()));
    }
    values
}

/// The field below which the token URL is shown: the last visible one that is part of it. `None` if the field is
/// the whole URL, which would only be repeated.
fn token_url_field(connector: &Connector) -> Option<&FieldId> {
    let url = &connector.token.url;
    let is_part = |field: &Field| url.references().filter_map(Reference::field).any(|id| *id == field.id);
    let field = connector.fields.iter().rfind(|field| !field.advanced && is_part(field))?;
    let whole = url.source().strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) == Some(field.id.as_str());
    (!whole).then_some(&field.id)
}

/// The domains of URLs that may be pasted, in the order in which the server tries them: the suffix of the value,
/// then the others that the connector names.
fn hosts(field: &Field) -> String {
    if field.format != FieldFormat::DnsLabel {
        return String::new();
    }
    let templates = std::iter::once(&field.suffix).chain(&field.accept_hosts).map(|domain| domain.source());
    let templates: Vec<serde_json::Value> = templates.filter(|domain| !domain.is_empty()).map(Into::into).collect();
    if templates.is_empty() { String::new() } else { serde_json::Value::Array(templates).to_string() }
}

fn options<'a>(field: &'a Field, chosen: &str) -> Vec<OptionView<'a>> {
    let view = |option: &'a crate::domain::connectors::FieldOption| {
        let attributes: serde_json::Map<String, serde_json::Value> =
            option.attributes.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
        OptionView {
            id: &option.id,
            label: &option.label,
            attributes: serde_json::Value::Object(attributes).to_string(),
            chosen: option.id == chosen,
        }
    };
    field.options.iter().map(view).collect()
}

fn is_wide(field: &Field) -> bool {
    let long = matches!(field.format, FieldFormat::HttpsUrl) || (field.max_length >= 1_000 && !field.secret);
    long || !field.prefix.source().is_empty() || !field.suffix.source().is_empty()
}

/// Narrow fields are shown in pairs; one without a partner takes the whole width.
fn pair(fields: &mut [FieldView<'_>]) {
    let mut open: Option<usize> = None;
    for index in 0..fields.len() {
        match (fields[index].wide, open) {
            (true, Some(alone)) => {
                fields[alone].wide = true;
                open = None;
            }
            (true, None) => {}
            (false, Some(_)) => open = None,
            (false, None) => open = Some(index),
        }
    }
    if let Some(alone) = open {
        fields[alone].wide = true;
    }
}

/// A label inside a sentence: "Region" becomes "region", "API host" stays.
fn in_sentence(label: &str) -> String {
    let mut letters = label.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if second.is_lowercase() => first.to_lowercase().chain(label.chars().skip(1)).collect(),
        _ => label.to_owned(),
    }
}

#[cfg(test)]
mod tests;
