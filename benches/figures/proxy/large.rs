//! Bodies of 10 MiB: how fast they come through, down and up.

use std::{fs, net::SocketAddr};

use super::{
    super::{Outcome, cpu_time, spread},
    Pace,
    scene::Scene,
    services::RIGHT,
    wrk::Load,
};

/// The size of a body, in MB.
const SIZE: f64 = 10.0 * 1.048_576;
const CONNECTIONS: usize = 4;

/// Measures both ways.
pub(super) fn figures(scene: &Scene, pace: Pace) -> Outcome<()> {
    let keytile = &scene.keytile;
    let script = scene.folder.path().join("upload.lua");
    fs::write(&script, "wrk.method = \"POST\"\nwrk.body = string.rep(\"u\", 10 * 1024 * 1024)\n")?;
    let load =
        |address: SocketAddr, path, authorization, script| Load { address, path, authorization, connections: CONNECTIONS, script };
    let down = keytile.path(keytile.filled.clear, "/large");
    let loads = [
        load(scene.service.clear, "/large", RIGHT, None),
        load(scene.peer.large, "/large", RIGHT, None),
        load(keytile.address()?, &down, &keytile.filled.key, None),
    ];
    compare(scene, pace, "10 MiB down", &loads, ["at least 1.0", "at least 0.75"])?;
    let up = keytile.path(keytile.filled.upload, "/upload");
    let script = Some(script.as_path());
    let loads = [
        load(scene.upload, "/upload", RIGHT, script),
        load(scene.peer.upload, "/upload", RIGHT, script),
        load(keytile.address()?, &up, &keytile.filled.key, script),
    ];
    compare(scene, pace, "10 MiB up", &loads, ["at least 2", ""])
}

/// The loads are direct, through nginx and through Keytile; the limits are to nginx and to direct.
fn compare(scene: &Scene, pace: Pace, what: &str, loads: &[Load<'_>; 3], limits: [&str; 2]) -> Outcome<()> {
    let processes = [None, Some(scene.peer.nginx.id().to_string()), Some(scene.keytile.running.id().to_string())];
    let mut speeds: [Vec<f64>; 3] = Default::default();
    let mut costs: [Vec<f64>; 3] = Default::default();
    for round in 0..=pace.rounds {
        for turn in 0..loads.len() {
            let index = (turn + round) % loads.len();
            let time = || processes[index].as_deref().map(cpu_time).transpose();
            let before = time()?;
            let answered = loads[index].run(pace.each)?;
            // The first round only warms up.
            if round > 0 {
                speeds[index].push(answered.each_second * SIZE);
                let spent = time()?.zip(before).map_or(0.0, |(after, before)| (after - before).as_secs_f64() * 1e3);
                costs[index].push(spent / answered.requests);
            }
        }
    }
    let ratio = |one: &[f64], other: &[f64]| one.iter().zip(other).map(|(one, other)| one / other).collect::<Vec<_>>();
    let mut to_nginx = ratio(&speeds[2], &speeds[1]);
    let mut to_direct = ratio(&speeds[2], &speeds[0]);
    for (name, index) in [("direct", 0), ("nginx", 1), ("Keytile", 2)] {
        spread(&format!("{what}: {name}"), &mut speeds[index], 0, " MB/s", "");
        if index > 0 {
            spread(&format!("{what}: {name} CPU time a body"), &mut costs[index], 1, " ms", "");
        }
    }
    spread(&format!("**{what}: speed, Keytile / nginx**"), &mut to_nginx, 2, "", limits[0]);
    spread(&format!("**{what}: speed, Keytile / direct**"), &mut to_direct, 2, "", limits[1]);
    Ok(())
}
