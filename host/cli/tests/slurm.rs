//! The array job of a sweep on a real Slurm: controller, node and authentication on this machine (Debian: munge, slurm-wlm,
//! slurm-wlm-basic-plugins), as root. Skipped, with a message, where they are not there.

use super::common;

use common::{arg, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The daemons of a cluster of one node.
struct Cluster {
    conf: PathBuf,
    daemons: Vec<Child>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for daemon in self.daemons.iter_mut().rev() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

fn output(command: &mut Command) -> Option<String> {
    let out = command.output().ok()?;
    out.status.success().then(|| String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(240), "{what} takes too long");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Munge's daemon, unless one is running.
fn munge(daemons: &mut Vec<Child>) -> Option<()> {
    if output(Command::new("munge").arg("-n")).is_some() {
        return Some(());
    }
    output(Command::new("sh").args(["-c", "mkdir -p /run/munge && chown munge:munge /run/munge"]))?;
    let own = ["--reuid=munge", "--regid=munge", "--clear-groups", "/usr/sbin/munged", "--foreground"];
    let quiet = |c: &mut Command| c.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    daemons.push(quiet(Command::new("setpriv").args(own)).ok()?);
    wait("munged", || output(Command::new("munge").arg("-n")).is_some());
    Some(())
}

impl Cluster {
    fn start(folder: &Path) -> Option<Self> {
        if !["/usr/sbin/slurmctld", "/usr/sbin/slurmd", "/usr/sbin/munged"]
            .iter()
            .all(|p| Path::new(p).exists())
        {
            return None;
        }
        let host = output(Command::new("hostname").arg("-s"))?;
        if output(Command::new("id").arg("-u"))? != "0" {
            return None;
        }
        let place = folder.display();
        for name in ["state", "spool"] {
            std::fs::create_dir(folder.join(name)).ok()?;
        }
        let conf = folder.join("slurm.conf");
        let text = format!(
            "ClusterName=sweep\nSlurmctldHost={host}(127.0.0.1)\nSlurmUser=root\nSlurmdUser=root\nAuthType=auth/munge\n\
             CryptoType=crypto/munge\nStateSaveLocation={place}/state\nSlurmdSpoolDir={place}/spool\n\
             SlurmctldPidFile={place}/slurmctld.pid\nSlurmdPidFile={place}/slurmd.pid\nSlurmctldPort=16817\nSlurmdPort=16818\n\
             ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nJobAcctGatherType=jobacct_gather/none\n\
             AccountingStorageType=accounting_storage/none\nSelectType=select/cons_tres\nSelectTypeParameters=CR_Core\n\
             SchedulerType=sched/backfill\nMpiDefault=none\nReturnToService=2\nMaxArraySize=1001\n\
             NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=500 State=UNKNOWN\n\
             PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO\n"
        );
        std::fs::write(&conf, text).ok()?;
        let mut cluster = Self { conf, daemons: Vec::new() };
        munge(&mut cluster.daemons)?;
        for (daemon, log) in [("slurmctld", "ctld.log"), ("slurmd", "d.log")] {
            let log = std::fs::File::create(folder.join(log)).ok()?;
            let mut command = Command::new(format!("/usr/sbin/{daemon}"));
            let command =
                command.arg("-D").env("SLURM_CONF", &cluster.conf).stdout(Stdio::null()).stderr(log);
            cluster.daemons.push(command.spawn().ok()?);
        }
        wait("the node", || cluster.ask("sinfo", &["-h", "-o", "%T"]).is_some_and(|s| s == "idle"));
        Some(cluster)
    }

    fn ask(&self, program: &str, args: &[&str]) -> Option<String> {
        output(Command::new(program).args(args).env("SLURM_CONF", &self.conf))
    }

    /// Submits the sweep's job.
    fn submit(&self, spec: &Path, out: &Path) -> String {
        let args = [
            "sweep",
            arg(spec),
            "-o",
            arg(out),
            "--slurm",
            "--partition",
            "main",
            "--tasks",
            "4",
            "--confirm",
            "none",
        ];
        let mut command = Command::new(env!("CARGO_BIN_EXE_accllm"));
        let ran = command.args(args).arg("--json").env("SLURM_CONF", &self.conf).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let told: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
        told["job"].as_str().unwrap().to_owned()
    }

    fn finished(&self, job: &str) -> bool {
        self.ask("squeue", &["-h", "-j", job]).is_none_or(|queue| queue.is_empty())
    }
}

#[test]
#[ignore = "starts a cluster; make test-full"]
fn an_array_job_is_killed_and_completed() {
    let folder = tempfile::tempdir().unwrap();
    let Some(cluster) = Cluster::start(folder.path()) else {
        println!("skipped: no Slurm to start as root (Debian: munge, slurm-wlm, slurm-wlm-basic-plugins)");
        return;
    };
    let spec = folder.path().join("small.toml");
    // Enough points that a task can be killed on its way.
    let text = include_str!("data/sweep/small.toml");
    let text = text.replace("mhz = [150, 225, 300, 400]", "mhz = { from = 200, to = 259, step = 1 }");
    std::fs::write(&spec, text).unwrap();
    std::fs::write(folder.path().join("small.json"), include_str!("data/sweep/small.json")).unwrap();
    let (one, out) = (folder.path().join("one"), folder.path().join("out"));
    let points = 120 * 60;

    let job = cluster.submit(&spec, &out);
    let record = out.join("points/2-of-4.jsonl");
    wait("the second task", || std::fs::metadata(&record).is_ok_and(|m| m.len() > 20_000));
    cluster.ask("scancel", &[&format!("{job}_2")]).unwrap();
    wait("the job", || cluster.finished(&job));
    let status = || json(&["sweep", arg(&out), "--status"]);
    let left = status();
    let done = left["done"].as_u64().unwrap();
    assert!(left["report"].is_null() && done >= points * 3 / 4 && done < points, "{left}");

    // Submitted again, it computes what is missing.
    let job = cluster.submit(&spec, &out);
    wait("the job", || cluster.finished(&job));
    let whole = status();
    assert_eq!((whole["done"].as_u64(), whole["stale"].as_u64()), (Some(points), Some(0)), "{whole}");
    json(&["sweep", arg(&spec), "-o", arg(&one), "--confirm", "none"]);
    for file in ["points.csv", "front.csv", "report.html"] {
        let read = |folder: &Path| std::fs::read_to_string(folder.join(file)).unwrap();
        assert_eq!(read(&out), read(&one), "{file}");
    }
}
