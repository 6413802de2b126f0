//! Bodies of 10 MiB: how fast they come through, down and up.

use std::{fs, net::SocketAddr, path::Path};

use keytile::domain::resource::ResourceId;

use super::{
    super::{Outcome, cpu_time, spread},
    Pace, relay,
    scene::{Filled, Scene},
    services::RIGHT,
    wrk::Load,
};

/// The size of a body, in MB.
const SIZE: f64 = 10.0 * 1.048_576;
const CONNECTIONS: usize = 4;

/// Measures both ways.
pub(super) fn figures(scene: &Scene, pace: Pace) -> Outcome<()> {
    let script = scene.folder.path().join("upload.lua");
    fs::write(&script, "wrk.method = \"POST\"\nwrk.body = string.rep(\"u\", 10 * 1024 * 1024)\n")?;
    let down = Way {
        what: "10 MiB down",
        path: "/large",
        service: scene.service.clear,
        peer: scene.peer.large,
        resource: |filled| filled.clear,
        script: None,
        limits: ["at least 1.0", "at least 0.75"],
    };
    let up = Way {
        what: "10 MiB up",
        path: "/upload",
        service: scene.upload,
        peer: scene.peer.upload,
        resource: |filled| filled.upload,
        script: Some(&script),
        limits: ["at least 2", ""],
    };
    down.compare(scene, pace)?;
    up.compare(scene, pace)
}

/// One way for bodies to go.
struct Way<'a> {
    what: &'a str,
    path: &'a str,
    service: SocketAddr,
    peer: SocketAddr,
    resource: fn(&Filled) -> ResourceId,
    script: Option<&'a Path>,
    /// To nginx, and to the direct transfer.
    limits: [&'a str; 2],
}

/// Who is measured.
struct Contender<'a> {
    name: &'a str,
    /// Whose CPU time is counted.
    process: Option<String>,
    load: Load<'a>,
}

impl Way<'_> {
    fn compare(&self, scene: &Scene, pace: Pace) -> Outcome<()> {
        let Self { what, script, .. } = *self;
        let sides = [("Keytile", Some(&scene.keytile)), ("the other build", scene.other.as_ref())];
        let sides: Vec<_> = sides
            .into_iter()
            .filter_map(|(name, side)| side.map(|side| (name, side, side.path((self.resource)(&side.filled), self.path))))
            .collect();
        let load = |address, path, authorization| Load { address, path, authorization, connections: CONNECTIONS, script };
        let nginx = Some(scene.peer.nginx.id().to_string());
        let mut all = vec![
            Contender { name: "direct", process: None, load: load(self.service, self.path, RIGHT) },
            Contender { name: "nginx", process: nginx, load: load(self.peer, self.path, RIGHT) },
            Contender { name: "a bare relay", process: None, load: load(relay::start(self.service)?, self.path, RIGHT) },
        ];
        for (name, side, path) in &sides {
            let load = load(side.address()?, path, &side.filled.key);
            all.push(Contender { name, process: Some(side.running.id().to_string()), load });
        }
        let mut speeds = vec![Vec::new(); all.len()];
        let mut costs = vec![Vec::new(); all.len()];
        for round in 0..=pace.rounds {
            for turn in 0..all.len() {
                let index = (turn + round) % all.len();
                let Contender { process, load, .. } = &all[index];
                let time = || process.as_deref().map(cpu_time).transpose();
                let before = time()?;
                let answered = load.run(pace.each)?;
                // The first round only warms up.
                if round > 0 {
                    speeds[index].push(answered.each_second * SIZE);
                    let spent = time()?.zip(before).map_or(0.0, |(after, before)| (after - before).as_secs_f64() * 1e3);
                    costs[index].push(spent / answered.requests);
                }
            }
        }
        let ratio = |one: &[f64], other: &[f64]| one.iter().zip(other).map(|(one, other)| one / other).collect::<Vec<_>>();
        let mut to_nginx = ratio(&speeds[3], &speeds[1]);
        let mut to_direct = ratio(&speeds[3], &speeds[0]);
        let mut to_relay = ratio(&speeds[3], &speeds[2]);
        let mut relay_to_direct = ratio(&speeds[2], &speeds[0]);
        let to_other = speeds.get(4).zip(costs.get(4)).map(|(speed, cost)| [ratio(&speeds[3], speed), ratio(&costs[3], cost)]);
        for (index, Contender { name, process, .. }) in all.iter().enumerate() {
            spread(&format!("{what}: {name}"), &mut speeds[index], 0, " MB/s", "");
            if process.is_some() {
                spread(&format!("{what}: {name} CPU time a body"), &mut costs[index], 1, " ms", "");
            }
        }
        spread(&format!("**{what}: speed, Keytile / nginx**"), &mut to_nginx, 2, "", self.limits[0]);
        spread(&format!("**{what}: speed, Keytile / direct**"), &mut to_direct, 2, "", self.limits[1]);
        spread(&format!("{what}: speed, a bare relay / direct"), &mut relay_to_direct, 2, "", "");
        spread(&format!("{what}: speed, Keytile / a bare relay"), &mut to_relay, 2, "", "");
        if let Some([mut speed, mut cost]) = to_other {
            spread(&format!("{what}: speed, Keytile / the other build"), &mut speed, 3, "", "");
            spread(&format!("{what}: CPU time, Keytile / the other build"), &mut cost, 3, "", "");
        }
        Ok(())
    }
}
