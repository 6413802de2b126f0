//! Requests of 1 KiB, as many as come through: CPU time for each, and how many a second.

use std::time::Duration;

use super::{
    super::{Outcome, cpu_time, spread},
    Pace,
    scene::{Scene, Side},
    wrk::Load,
};

/// A side of the comparison: whose CPU time is counted, and how it is asked.
struct Contender<'a> {
    name: &'static str,
    process: String,
    load: Load<'a>,
}

/// What a side did in a round.
struct Measured {
    /// CPU time for a request, in microseconds.
    micros: f64,
    each_second: f64,
}

impl Contender<'_> {
    fn measure(&self, time: Duration) -> Outcome<Measured> {
        let before = cpu_time(&self.process)?;
        let answered = self.load.run(time)?;
        let micros = (cpu_time(&self.process)? - before).as_secs_f64() * 1e6 / answered.requests;
        Ok(Measured { micros, each_second: answered.each_second })
    }
}

/// Measures 32 and 256 connections in the clear, and 32 with TLS to the service.
pub(super) fn figures(scene: &Scene, pace: Pace) -> Outcome<()> {
    compare(scene, pace, 32, false, "1.3")?;
    compare(scene, pace, 256, false, "1.4")?;
    compare(scene, pace, 32, true, "1.3")
}

fn compare(scene: &Scene, pace: Pace, connections: usize, tls: bool, limit: &str) -> Outcome<()> {
    let what = format!("1 KiB, {connections} connections{}", if tls { ", TLS to the service" } else { "" });
    let paths: Vec<String> = [Some(&scene.keytile), scene.other.as_ref()]
        .into_iter()
        .flatten()
        .map(|side| side.path(if tls { side.filled.tls } else { side.filled.clear }, "/small"))
        .collect();
    let load = |address, path, authorization| Load { address, path, authorization, connections, script: None };
    let right = super::services::RIGHT;
    let keytile = &scene.keytile;
    let peer = if tls { scene.peer.tls } else { scene.peer.clear };
    let mut all = vec![
        Contender { name: "nginx", process: scene.peer.nginx.id().to_string(), load: load(peer, "/small", "Bearer of-the-client") },
        Contender {
            name: "Keytile",
            process: keytile.running.id().to_string(),
            load: load(keytile.address()?, &paths[0], &keytile.filled.key),
        },
        Contender {
            name: "direct",
            process: scene.service.nginx.id().to_string(),
            load: load(scene.service.clear, "/small", right),
        },
    ];
    if let Some(other) = &scene.other {
        let load = load(other.address()?, &paths[1], &other.filled.key);
        all.push(Contender { name: "the other build", process: other.running.id().to_string(), load });
    }
    for contender in &all {
        contender.measure(Duration::from_secs(1))?;
    }
    let mut rounds: Vec<Vec<Measured>> = Vec::new();
    for round in 0..pace.rounds {
        let mut measured: Vec<Option<Measured>> = all.iter().map(|_| None).collect();
        // Nobody is always the first.
        for turn in 0..all.len() {
            let index = (turn + round) % all.len();
            measured[index] = Some(all[index].measure(pace.each)?);
        }
        rounds.push(measured.into_iter().flatten().collect());
    }
    let of = |index: usize, value: fn(&Measured) -> f64| -> Vec<f64> { rounds.iter().map(|round| value(&round[index])).collect() };
    let ratio = |index: usize, to: usize, value: fn(&Measured) -> f64| -> Vec<f64> {
        rounds.iter().map(|round| value(&round[index]) / value(&round[to])).collect()
    };
    for (index, contender) in all.iter().enumerate() {
        spread(&format!("{what}: {} requests a second", contender.name), &mut of(index, |it| it.each_second), 0, "", "");
        if contender.name != "direct" {
            spread(&format!("{what}: {} CPU time a request", contender.name), &mut of(index, |it| it.micros), 1, " µs", "");
        }
    }
    spread(&format!("**{what}: CPU time, Keytile / nginx**"), &mut ratio(1, 0, |it| it.micros), 2, "", limit);
    let least = if tls { "" } else { "at least 0.8" };
    spread(&format!("**{what}: requests a second, Keytile / nginx**"), &mut ratio(1, 0, |it| it.each_second), 2, "", least);
    if all.len() > 3 {
        spread(&format!("{what}: CPU time, Keytile / the other build"), &mut ratio(1, 3, |it| it.micros), 3, "", "");
        spread(&format!("{what}: CPU time, the other build / nginx"), &mut ratio(3, 0, |it| it.micros), 2, "", "");
    }
    Ok(())
}

/// What it costs to read one credential through the API.
pub(super) fn api_figures(scene: &Scene, pace: Pace) -> Outcome<()> {
    let what = "one credential read through the API";
    let path = |side: &Side| format!("/api/v1/credentials/{}", side.filled.credential);
    let sides: Vec<_> = [Some(&scene.keytile), scene.other.as_ref()].into_iter().flatten().map(|side| (side, path(side))).collect();
    let mut all = Vec::new();
    for (side, path) in &sides {
        let load = Load { address: side.address()?, path, authorization: &side.filled.key, connections: 4, script: None };
        all.push((Contender { name: what, process: side.running.id().to_string(), load }, Vec::new()));
    }
    for round in 0..=pace.rounds {
        for (contender, micros) in &mut all {
            let measured = contender.measure(pace.each)?;
            // The first round only warms up.
            if round > 0 {
                micros.push(measured.micros);
            }
        }
    }
    spread(&format!("**{what}**, CPU time"), &mut all[0].1, 0, " µs", "140 µs");
    if let Some((_, micros)) = all.get_mut(1) {
        spread(&format!("{what}, the other build: CPU time"), micros, 0, " µs", "");
    }
    Ok(())
}
