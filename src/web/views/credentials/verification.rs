//! A verification as pages show it: its stages in a line, and the details of a failure.

use crate::domain::credentials::verification::{Blame, Diagnosis, Stage, StageOutcome, StageReport, Verification};

/// One stage of the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StageView<'a> {
    pub(crate) label: &'static str,
    /// The CSS class of its outcome.
    pub(crate) outcome: &'static str,
    /// The service's status or the fault, as a word; only for a failed stage.
    pub(crate) reason: Option<&'a str>,
    /// How long it took, in microseconds.
    pub(crate) micros: u64,
}

impl StageView<'_> {
    /// How long it took, in a suitable unit.
    pub(crate) fn duration(&self) -> String {
        match self.micros {
            0..1_000 => "< 1 ms".into(),
            1_000..1_000_000 => format!("{} ms", self.micros / 1_000),
            _ => format!("{}.{} s", self.micros / 1_000_000, self.micros / 100_000 % 10),
        }
    }
}

/// The word for an outcome, in CSS classes and in the stream of a Save.
pub(crate) const fn outcome_word(outcome: StageOutcome) -> &'static str {
    match outcome {
        StageOutcome::Passed => "passed",
        StageOutcome::Failed => "failed",
        StageOutcome::Skipped => "skipped",
    }
}

/// The stages to show: those that ended. The input stage is only shown if it failed.
pub(crate) fn stages(verification: &Verification) -> Vec<StageView<'_>> {
    let told = |report: &&StageReport| match report.outcome {
        StageOutcome::Passed => report.stage != Stage::Input,
        StageOutcome::Failed => true,
        StageOutcome::Skipped => false,
    };
    let diagnosis = |stage: Stage| {
        let all = [&verification.failure, &verification.notice];
        all.into_iter().flatten().find(|diagnosis| diagnosis.stage == stage)
    };
    let view = |report: &StageReport| StageView {
        label: report.stage.label(),
        outcome: outcome_word(report.outcome),
        reason: match report.outcome {
            StageOutcome::Failed => diagnosis(report.stage).and_then(|it| it.service.as_ref()?.error.as_deref()),
            _ => None,
        },
        micros: report.micros,
    };
    verification.stages.iter().filter(told).map(view).collect()
}

pub(crate) struct DiagnosisView<'a> {
    pub(crate) summary: &'a str,
    pub(crate) remedy: &'a str,
    /// True if retrying later may help.
    pub(crate) passing: bool,
    /// The service's own message, one fact per line.
    pub(crate) words: Vec<(&'static str, String)>,
}

impl<'a> DiagnosisView<'a> {
    pub(crate) fn new(diagnosis: &'a Diagnosis) -> Self {
        let mut words = Vec::new();
        if let Some(said) = &diagnosis.service {
            words.extend(said.status.map(|status| ("Status", status.to_string())));
            words.extend(said.error.clone().map(|error| ("Error", error)));
            words.extend(said.description.clone().map(|description| ("Description", description)));
            words.extend(said.content_type.clone().map(|kind| ("Content type", kind)));
        }
        words.extend(diagnosis.retry_after.map(|seconds| ("Retry after", format!("{seconds} s"))));
        Self { summary: &diagnosis.summary, remedy: &diagnosis.remedy, passing: diagnosis.blame != Blame::Input, words }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::credentials::verification::{FaultCode, ServiceWords};

    fn rejected() -> Verification {
        let report = |stage, outcome, micros| StageReport { stage, outcome, micros };
        Verification {
            stages: vec![
                report(Stage::Input, StageOutcome::Passed, 3),
                report(Stage::Address, StageOutcome::Passed, 1_900),
                report(Stage::Oauth, StageOutcome::Failed, 12_345_678),
                report(Stage::Token, StageOutcome::Skipped, 0),
            ],
            failure: Some(Diagnosis {
                stage: Stage::Oauth,
                code: FaultCode::InvalidClient,
                blame: Blame::Input,
                summary: "Rejected.".into(),
                remedy: "Check.".into(),
                fields: Vec::new(),
                service: Some(ServiceWords { status: Some(401), error: Some("invalid_client".into()), ..ServiceWords::default() }),
                retry_after: Some(30),
            }),
            notice: None,
        }
    }

    #[test]
    fn the_line_tells_what_ended_and_why() {
        let verification = rejected();
        let line = stages(&verification);
        let read: Vec<_> = line.iter().map(|stage| (stage.label, stage.outcome, stage.reason, stage.duration())).collect();
        assert_eq!(
            read,
            [("Address", "passed", None, "1 ms".to_owned()), ("OAuth", "failed", Some("invalid_client"), "12.3 s".to_owned()),]
        );
    }

    #[test]
    fn the_services_words_are_listed_fact_by_fact() {
        let verification = rejected();
        let view = DiagnosisView::new(verification.failure.as_ref().unwrap());
        assert!(!view.passing);
        let facts: Vec<_> = view.words.iter().map(|(name, text)| (*name, text.as_str())).collect();
        assert_eq!(facts, [("Status", "401"), ("Error", "invalid_client"), ("Retry after", "30 s")]);
    }
}
