//! Requests of 1 KiB, as many as possible: CPU time per request, and requests per second. Also the cost of the API.

use super::{
    super::Outcome,
    Pace,
    contest::{Contender, Contest, Figure, KEYTILE, OTHER, builds},
    scene::Scene,
    services::RIGHT,
    wrk::Crowd,
};

const REQUESTS: Figure = Figure { name: "requests per second", value: |measured| measured.each_second, digits: 0, unit: "" };
const CPU: Figure = Figure { name: "CPU time per request", value: |measured| measured.cpu * 1e6, digits: 1, unit: " µs" };

/// Measures 32 and 256 connections without TLS, and 32 with TLS to the service.
pub(super) fn figures(scene: &Scene, pace: Pace) -> Outcome<()> {
    compare(scene, pace, 32, false, "1.3")?;
    compare(scene, pace, 256, false, "1.4")?;
    compare(scene, pace, 32, true, "1.3")
}

fn compare(scene: &Scene, pace: Pace, connections: usize, tls: bool, limit: &str) -> Outcome<()> {
    let what = format!("1 KiB, {connections} connections{}", if tls { ", TLS to the service" } else { "" });
    let crowd = Crowd::of(2, connections);
    let peer = if tls { scene.peer.tls } else { scene.peer.clear };
    let nginx = Some(scene.peer.nginx.id());
    let mut all = vec![
        Contender { name: "nginx", process: nginx, load: crowd.asking(peer, "/small", "Bearer of-the-client") },
        Contender { name: "direct", process: None, load: crowd.asking(scene.service.clear, "/small", RIGHT) },
    ];
    all.extend(builds(scene, |side| {
        let path = side.path(if tls { side.filled.tls } else { side.filled.clear }, "/small");
        Ok(crowd.asking(side.address()?, &path, &side.filled.key))
    })?);
    let contest = Contest::hold(what, &all, pace)?;
    contest.tell_each(&REQUESTS, &CPU);
    contest.tell_ratio(&CPU, KEYTILE, "nginx", limit);
    contest.tell_ratio(&REQUESTS, KEYTILE, "nginx", if tls { "" } else { "at least 0.8" });
    contest.tell_ratio(&CPU, KEYTILE, OTHER, "");
    contest.tell_ratio(&CPU, OTHER, "nginx", "");
    Ok(())
}

/// The cost of reading one credential through the API.
pub(super) fn api_figures(scene: &Scene, pace: Pace) -> Outcome<()> {
    let all = builds(scene, |side| {
        let path = format!("/api/v1/credentials/{}", side.filled.credential);
        Ok(Crowd::of(2, 4).asking(side.address()?, &path, &side.filled.key))
    })?;
    let contest = Contest::hold("reading one credential through the API".to_owned(), &all, pace)?;
    contest.tell(&CPU, KEYTILE, "140 µs");
    contest.tell(&CPU, OTHER, "");
    contest.tell_ratio(&CPU, KEYTILE, OTHER, "");
    Ok(())
}
