//! Setting up the user's own second factor, and its recovery codes, which are shown once.

use askama::Template;
use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use secrecy::{ExposeSecret, SecretString};

use super::profile::{proof_fields, respond_to};
use crate::{
    domain::credentials::form::FieldError,
    service::{
        auth::{browser, second_factor::SecondFactorOffer},
        users::reauthentication::OwnChange,
    },
    web::{
        http::{
            error::PageError,
            extract::{Fields, Form, FromFields},
        },
        layout::{self, Layout, Section},
        pages::auth::sign_in::Refusal,
        session::{SignedIn, Visitor, session_cookie},
        state::WebState,
        views::users::{account_field::AccountField, settings_nav::SettingsNav},
    },
};

#[derive(Template)]
#[template(path = "settings/second_factor.html")]
struct SetUp<'a> {
    layout: Layout,
    nav: SettingsNav,
    email: &'a str,
    offer: &'a SecondFactorOffer,
    fields: [AccountField<'a>; 2],
    /// True if the user must do this before anything else.
    required: bool,
    refusal: Refusal,
}

impl SetUp<'_> {
    /// The secret in groups of four characters, for typing.
    fn groups(&self) -> Vec<&str> {
        let text = self.offer.base32.expose_secret();
        (0..text.len()).step_by(4).filter_map(|at| text.get(at..at + 4)).collect()
    }
}

#[derive(Template)]
#[template(path = "settings/recovery_codes.html")]
struct RecoveryCodes<'a> {
    layout: Layout,
    nav: SettingsNav,
    codes: &'a [SecretString],
    enabled: bool,
}

/// `GET /settings/second-factor`: shows a new secret each time.
pub(crate) async fn show(State(state): State<WebState>, signed: SignedIn) -> Result<Response, PageError> {
    let session = signed.live()?;
    let account = state.service.own_account(session).await?;
    match state.service.offer_second_factor(session).filter(|_| account.has_password && account.recovery_codes.is_none()) {
        Some(offer) => respond(&state, &signed, &offer, &[], Refusal::None),
        None => Ok(Redirect::to("/settings").into_response()),
    }
}

/// The secret that was shown, with proof that an app has it and that it is still the same person.
pub(crate) struct EnableForm {
    offer: String,
    proof: ProofForm,
}

/// Proof that it is still the same person.
pub(crate) struct ProofForm {
    password: SecretString,
    code: SecretString,
    what: String,
}

impl FromFields for ProofForm {
    fn from_fields(mut fields: Fields) -> Result<Self, PageError> {
        Ok(Self { password: fields.take("password").into(), code: fields.take("code").into(), what: fields.take("what") })
    }
}

impl FromFields for EnableForm {
    fn from_fields(mut fields: Fields) -> Result<Self, PageError> {
        Ok(Self { offer: fields.take("offer"), proof: ProofForm::from_fields(fields)? })
    }
}

/// `POST /settings/second-factor`.
pub(crate) async fn enable(
    State(state): State<WebState>,
    mut signed: SignedIn,
    visitor: Visitor,
    Form(form): Form<EnableForm>,
) -> Result<Response, PageError> {
    let present = signed.clone();
    let (session, origin) = (present.live()?, &present.caller.origin);
    let again = |errors: &[FieldError], refusal| match state.service.offer_again(session, &form.offer) {
        Some(offer) => respond(&state, &present, &offer, errors, refusal),
        None => Ok(Redirect::to("/settings/second-factor").into_response()),
    };
    let (password, code) = (&form.proof.password, &form.proof.code);
    match state.service.enable_second_factor(session, origin, &form.offer, password, code, &visitor.agent).await? {
        OwnChange::Done(enabled) => {
            // The forms of this page are sent in the new session.
            signed.form_token = browser::form_token(enabled.session.expose_secret()).into();
            let cookie = session_cookie(&state, &enabled.session)?;
            Ok(([(header::SET_COOKIE, cookie)], show_codes(&state, &signed, &enabled.codes, true)?).into_response())
        }
        OwnChange::Invalid(errors) => again(&errors, Refusal::Wrong),
        OwnChange::Limited(wait) => again(&[], wait.into()),
        OwnChange::Busy => again(&[], Refusal::Busy),
        OwnChange::Void => Ok(Redirect::to("/settings/second-factor").into_response()),
    }
}

/// `POST /settings/second-factor/change`: renews the recovery codes, or turns the second factor off.
pub(crate) async fn change(
    State(state): State<WebState>,
    signed: SignedIn,
    Form(form): Form<ProofForm>,
) -> Result<Response, PageError> {
    let (session, origin) = (signed.live()?, &signed.caller.origin);
    match form.what.as_str() {
        "renew" => match state.service.renew_recovery_codes(session, origin, &form.password, &form.code).await? {
            OwnChange::Done(codes) => show_codes(&state, &signed, &codes, false),
            other => respond_to(&state, &signed, other).await,
        },
        "remove" => match state.service.disable_second_factor(session, origin, &form.password, &form.code).await? {
            OwnChange::Done(()) => Ok(Redirect::to("/settings?done=second-factor-off").into_response()),
            other => respond_to(&state, &signed, other).await,
        },
        _ => Err(PageError::BadRequest),
    }
}

fn show_codes(state: &WebState, signed: &SignedIn, codes: &[SecretString], enabled: bool) -> Result<Response, PageError> {
    let page = RecoveryCodes {
        layout: Layout::new(state, signed, Section::Settings, "Recovery codes · Settings"),
        nav: SettingsNav::new(signed, "/settings"),
        codes,
        enabled,
    };
    layout::page(StatusCode::OK, &page)
}

fn respond(
    state: &WebState,
    signed: &SignedIn,
    offer: &SecondFactorOffer,
    errors: &[FieldError],
    refusal: Refusal,
) -> Result<Response, PageError> {
    let [password, code] = proof_fields(errors, "The 6-digit code that your app shows for Keytile.");
    let page = SetUp {
        layout: Layout::new(state, signed, Section::Settings, "Two-step verification · Settings").with_error(refusal.is_error()),
        nav: SettingsNav::new(signed, "/settings"),
        email: &signed.person.email,
        offer,
        fields: [code, password],
        required: signed.live()?.second_factor_due,
        refusal,
    };
    Ok(refusal.attach(layout::page(refusal.status(), &page)?))
}
