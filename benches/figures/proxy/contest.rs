//! Measures several sides with the same load in turn, and compares the results.

use super::{
    super::{Outcome, cpu_time, middle_and_range, row, spread},
    Pace,
    scene::{Scene, Side},
    wrk::Load,
};

/// The build that the figures are about.
pub(super) const KEYTILE: &str = "Keytile";
/// The build that it is compared with, if there is one.
pub(super) const OTHER: &str = "the other build";

/// A side, and how to load it.
pub(super) struct Contender {
    pub(super) name: &'static str,
    /// The process whose CPU time is counted.
    pub(super) process: Option<u32>,
    pub(super) load: Load,
}

/// The result of a side in one round.
pub(super) struct Measured {
    pub(super) each_second: f64,
    /// CPU time per response, in seconds.
    pub(super) cpu: f64,
}

impl Contender {
    fn measure(&self, pace: Pace) -> Outcome<Measured> {
        let cpu = || self.process.map_or(Ok(0.0), |process| cpu_time(&process.to_string()).map(|time| time.as_secs_f64()));
        let before = cpu()?;
        let answered = self.load.run(pace.each)?;
        Ok(Measured { each_second: answered.each_second, cpu: (cpu()? - before) / answered.requests })
    }
}

/// A figure: its name, its value, and its format.
pub(super) struct Figure {
    pub(super) name: &'static str,
    pub(super) value: fn(&Measured) -> f64,
    pub(super) digits: usize,
    pub(super) unit: &'static str,
}

/// The results of all sides in all rounds.
pub(super) struct Contest {
    what: String,
    sides: Vec<Done>,
}

/// The results of one side.
struct Done {
    name: &'static str,
    /// Whether its CPU time was counted.
    counted: bool,
    rounds: Vec<Measured>,
}

impl Contest {
    /// Measures all sides in turn. The first round only warms up.
    pub(super) fn hold(what: String, contenders: &[Contender], pace: Pace) -> Outcome<Self> {
        let done = |side: &Contender| Done { name: side.name, counted: side.process.is_some(), rounds: Vec::new() };
        let mut sides: Vec<Done> = contenders.iter().map(done).collect();
        for round in 0..=pace.rounds {
            // A different side starts each round.
            for turn in 0..contenders.len() {
                let index = (turn + round) % contenders.len();
                let measured = contenders[index].measure(pace)?;
                if round > 0 {
                    sides[index].rounds.push(measured);
                }
            }
        }
        Ok(Self { what, sides })
    }

    /// Prints the result of each side, and its CPU time if that is counted.
    pub(super) fn tell_each(&self, speed: &Figure, cpu: &Figure) {
        for side in &self.sides {
            self.tell(speed, side.name, "");
            if side.counted {
                self.tell(cpu, side.name, "");
            }
        }
    }

    /// Prints a figure of one side. Like the functions below, prints nothing for a side that didn't take part.
    pub(super) fn tell(&self, figure: &Figure, side: &str, limit: &str) {
        let Some(rounds) = self.rounds(side) else { return };
        let label = self.label(&format!("{side}, {}", figure.name), limit);
        let mut values: Vec<f64> = rounds.iter().map(figure.value).collect();
        spread(&label, &mut values, figure.digits, figure.unit, limit);
    }

    /// Prints how one side compares with another, by round: median, minimum and maximum of the ratio, and the mean
    /// with its standard error, which shows the precision that the number of rounds allows.
    pub(super) fn tell_ratio(&self, figure: &Figure, one: &str, to: &str, limit: &str) {
        let Some((rounds, others)) = self.rounds(one).zip(self.rounds(to)) else { return };
        let label = self.label(&format!("{}, {one} / {to}", figure.name), limit);
        let mut ratios: Vec<f64> = rounds.iter().zip(others).map(|(one, to)| (figure.value)(one) / (figure.value)(to)).collect();
        let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
        let squares: f64 = ratios.iter().map(|ratio| (ratio - mean).powi(2)).sum();
        let error = (squares / (ratios.len() as f64 - 1.0).max(1.0) / ratios.len() as f64).sqrt();
        row(&label, &format!("{}; mean {mean:.3} ± {error:.3}", middle_and_range(&mut ratios, 3, "")), limit);
    }

    fn rounds(&self, name: &str) -> Option<&[Measured]> {
        self.sides.iter().find(|side| side.name == name).map(|side| &side.rounds[..])
    }

    /// The label, in bold if there is a limit.
    fn label(&self, figure: &str, limit: &str) -> String {
        let bold = if limit.is_empty() { "" } else { "**" };
        format!("{bold}{}: {figure}{bold}", self.what)
    }
}

/// The builds of Keytile that take part, each with the load that `load` returns.
pub(super) fn builds(scene: &Scene, load: impl Fn(&Side) -> Outcome<Load>) -> Outcome<Vec<Contender>> {
    [(KEYTILE, Some(&scene.keytile)), (OTHER, scene.other.as_ref())]
        .into_iter()
        .filter_map(|(name, side)| Some((name, side?)))
        .map(|(name, side)| Ok(Contender { name, process: Some(side.running.id()), load: load(side)? }))
        .collect()
}
