//! Bodies of 10 MiB: throughput of downloads and uploads.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use keytile::domain::resources::ResourceId;

use super::{
    super::Outcome,
    Pace,
    contest::{Contender, Contest, Figure, KEYTILE, OTHER, builds},
    relay,
    scene::{Filled, Scene},
    services::RIGHT,
    wrk::Crowd,
};

/// The size of a body, in MB.
const SIZE: f64 = 10.0 * 1.048_576;
const SPEED: Figure = Figure { name: "speed", value: |measured| measured.each_second * SIZE, digits: 0, unit: " MB/s" };
const CPU: Figure = Figure { name: "CPU time per body", value: |measured| measured.cpu * 1e3, digits: 1, unit: " ms" };

/// Threads of wrk, and connections. Two threads leave the other sides no core of this machine; one leaves them one.
const LOADS: [(usize, usize); 2] = [(1, 2), (2, 4)];

/// Measures both directions.
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
    for way in [down, up] {
        for (threads, connections) in LOADS {
            way.compare(scene, pace, threads, connections)?;
        }
    }
    Ok(())
}

/// One direction.
struct Way<'a> {
    what: &'a str,
    path: &'a str,
    service: SocketAddr,
    peer: SocketAddr,
    resource: fn(&Filled) -> ResourceId,
    script: Option<&'a Path>,
    /// Compared with nginx, and with the direct transfer.
    limits: [&'a str; 2],
}

impl Way<'_> {
    fn compare(&self, scene: &Scene, pace: Pace, threads: usize, connections: usize) -> Outcome<()> {
        let crowd = Crowd { script: self.script.map(PathBuf::from), ..Crowd::of(threads, connections) };
        let nginx = Some(scene.peer.nginx.id());
        let mut all = vec![
            Contender { name: "direct", process: None, load: crowd.asking(self.service, self.path, RIGHT) },
            Contender { name: "nginx", process: nginx, load: crowd.asking(self.peer, self.path, RIGHT) },
            Contender { name: "a bare relay", process: None, load: crowd.asking(relay::start(self.service)?, self.path, RIGHT) },
        ];
        all.extend(builds(scene, |side| {
            let path = side.path((self.resource)(&side.filled), self.path);
            Ok(crowd.asking(side.address()?, &path, &side.filled.key))
        })?);
        let what = format!("{}, {connections} connections, {threads} thread{}", self.what, if threads == 1 { "" } else { "s" });
        let contest = Contest::hold(what, &all, pace)?;
        contest.tell_each(&SPEED, &CPU);
        contest.tell_ratio(&SPEED, KEYTILE, "nginx", self.limits[0]);
        contest.tell_ratio(&SPEED, KEYTILE, "direct", self.limits[1]);
        contest.tell_ratio(&SPEED, "a bare relay", "direct", "");
        contest.tell_ratio(&SPEED, KEYTILE, "a bare relay", "");
        contest.tell_ratio(&SPEED, KEYTILE, OTHER, "");
        contest.tell_ratio(&CPU, KEYTILE, OTHER, "");
        Ok(())
    }
}
