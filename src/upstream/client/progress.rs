//! The progress of a verification: each stage is timed, and reported to the observer once and in order.

use std::time::Instant;

use crate::domain::credentials::verification::{Stage, StageObserver, StageOutcome, StageReport};

/// The stages of fetching a token, in order.
const STAGES: [Stage; 7] = [Stage::Input, Stage::Address, Stage::Connection, Stage::Tls, Stage::Http, Stage::Oauth, Stage::Token];

pub(in crate::upstream) struct Progress<'o> {
    observer: &'o dyn StageObserver,
    /// When the current stage began.
    since: Instant,
    reports: Vec<StageReport>,
}

impl<'o> Progress<'o> {
    /// Begins the first stage now.
    pub(in crate::upstream) fn new(observer: &'o dyn StageObserver) -> Self {
        Self { observer, since: Instant::now(), reports: Vec::with_capacity(STAGES.len()) }
    }

    pub(in crate::upstream) fn current(&self) -> Stage {
        STAGES.get(self.reports.len()).copied().unwrap_or(Stage::Token)
    }

    /// Records that a stage has passed, and with it every stage before it. Stages that have ended stay unchanged.
    pub(in crate::upstream) fn pass(&mut self, stage: Stage, at: Instant) {
        while self.reports.len() < STAGES.len() && self.current() <= stage {
            self.end(StageOutcome::Passed, at);
        }
    }

    /// Records that the verification ended in this stage: earlier stages passed, later ones are skipped.
    pub(in crate::upstream) fn fail(&mut self, stage: Stage) {
        let now = Instant::now();
        while self.current() < stage {
            self.end(StageOutcome::Passed, now);
        }
        self.end(StageOutcome::Failed, now);
        while self.reports.len() < STAGES.len() {
            self.end(StageOutcome::Skipped, now);
        }
    }

    pub(in crate::upstream) fn into_reports(self) -> Vec<StageReport> {
        self.reports
    }

    fn end(&mut self, outcome: StageOutcome, at: Instant) {
        let Some(stage) = STAGES.get(self.reports.len()).copied() else { return };
        let took = if outcome == StageOutcome::Skipped { 0 } else { at.saturating_duration_since(self.since).as_micros() };
        let report = StageReport { stage, outcome, micros: u64::try_from(took).unwrap_or(u64::MAX) };
        self.since = self.since.max(at);
        self.observer.stage_ended(&report);
        self.reports.push(report);
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Mutex, time::Duration};

    use super::*;
    use crate::domain::credentials::verification::Unobserved;

    #[derive(Default)]
    struct Seen(Mutex<Vec<StageReport>>);

    impl StageObserver for Seen {
        fn stage_ended(&self, report: &StageReport) {
            self.0.lock().unwrap().push(report.clone());
        }
    }

    #[test]
    fn every_stage_is_told_once_and_in_order() {
        let seen = Seen::default();
        let mut progress = Progress::new(&seen);
        let start = progress.since;
        progress.pass(Stage::Input, start + Duration::from_micros(5));
        progress.pass(Stage::Connection, start + Duration::from_micros(12));
        progress.pass(Stage::Address, start + Duration::from_micros(20));
        assert_eq!(progress.current(), Stage::Tls);
        progress.fail(Stage::Http);
        let reports = progress.into_reports();
        assert_eq!(*seen.0.lock().unwrap(), reports);
        assert_eq!(reports.iter().map(|report| report.stage).collect::<Vec<_>>(), STAGES);
        use StageOutcome::{Failed, Passed, Skipped};
        let outcomes: Vec<_> = reports.iter().map(|report| report.outcome).collect();
        assert_eq!(outcomes, [Passed, Passed, Passed, Passed, Failed, Skipped, Skipped]);
        assert_eq!(reports[0].micros, 5);
        assert_eq!(reports[1].micros, 7);
        assert_eq!(reports[6].micros, 0);
    }

    #[test]
    fn a_whole_success_has_every_stage() {
        let mut progress = Progress::new(&Unobserved);
        progress.pass(Stage::Token, Instant::now());
        let reports = progress.into_reports();
        assert_eq!(reports.len(), STAGES.len());
        assert!(reports.iter().all(|report| report.outcome == StageOutcome::Passed));
    }
}
