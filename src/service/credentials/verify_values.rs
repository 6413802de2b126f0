//! Verifies values that are not stored.

use std::{collections::BTreeMap, sync::Arc};

use secrecy::SecretString;

use super::api_form::form_of_program;
use crate::{
    domain::{
        access::permission::Permission,
        audit::event::{AuditAction, AuditOutcome},
        connectors::Connector,
        credentials::{
            form::{self, FieldError},
            verification::{Unobserved, Verification},
        },
    },
    service::{Service, ServiceError, access::caller::Caller},
};

impl Service {
    /// Verifies values that are stored nowhere, before or after. The error says what is wrong with them.
    ///
    /// Runs to its end even when the caller goes away: what was tried is recorded.
    pub async fn verify_values(
        &self,
        caller: &Caller,
        connector: Arc<Connector>,
        fields: BTreeMap<String, SecretString>,
    ) -> Result<Result<Verification, Vec<FieldError>>, ServiceError> {
        const WANTED: &str = "verifying values";
        self.require_person(caller, Permission::MakeCredentials, WANTED).await?;
        self.require_unlimited(caller, Permission::MakeCredentials, WANTED).await?;
        // Nothing is stored under this name; the form has to have one.
        let raw = match form_of_program(&connector, connector.name.clone(), String::new(), fields) {
            Ok(raw) => raw,
            Err(errors) => return Ok(Err(errors)),
        };
        let input = match form::parse(&connector, &raw, None) {
            Ok(input) => input,
            Err(errors) => return Ok(Err(errors)),
        };
        let (service, caller) = (self.clone(), caller.clone());
        let work = async move {
            let _call = service.begin_call(&caller)?;
            let verified = service.verify(&connector, &input.values, &Unobserved).await;
            let verification = verified.map_or_else(|found| found, |verified| verified.verification);
            let (outcome, ended) = match &verification.failure {
                None => (AuditOutcome::Done, "passed".to_owned()),
                Some(failure) => (AuditOutcome::Failed, format!("failed at {}", failure.stage.as_str())),
            };
            let detail = format!("values for {} that are not stored: {ended}", connector.id);
            service.0.store.record(&service.audit(&caller, AuditAction::VerifyCredential, None, outcome, detail)).await?;
            Ok(verification)
        };
        self.to_its_end(work).await.map(Ok)
    }
}
