//! `accllm sweep`.

use crate::args::{ConfirmArg, Sweep};
use crate::out::{Bars, Out, grouped};
use accllm_device::output::write_whole;
use accllm_device::{Error, Result};
use accllm_lab::explore::confirm::Confirm;
use accllm_lab::explore::slurm::Job;
use accllm_lab::explore::sweep::{Options, Report, run as sweep, standing};
use accllm_lab::explore::{Folder, Shard, Spec};
use std::path::Path;
use std::process::Command;

/// Runs a sweep, says where it stands, or gives it to Slurm.
pub fn run(args: &Sweep, out: &Out) -> Result<()> {
    if args.status {
        let (folder, spec) = Folder::open(&args.spec)?;
        let (report, _) = standing(&folder, &spec)?;
        return print(&report, out);
    }
    let (folder, spec) = match (&args.out, args.spec.is_dir()) {
        (Some(_), true) => {
            return Err(Error::Argument("a sweep's folder goes on where it is: leave -o out".into()));
        }
        (None, true) => Folder::open(&args.spec)?,
        (Some(out), false) => Folder::of(out, &Spec::open(&args.spec)?)?,
        (None, false) => return Err(Error::Argument("give -o DIR, the folder of the results".into())),
    };
    if args.slurm {
        return slurm(args, &folder, &spec, out);
    }
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let options = Options {
        jobs: args.jobs.map_or(processors, usize::from),
        shard: args.shard.unwrap_or(Shard::ALL),
        confirm: match args.confirm {
            ConfirmArg::Front => Confirm::Front,
            ConfirmArg::All => Confirm::All,
            ConfirmArg::None => Confirm::None,
        },
    };
    print(&sweep(&folder, &spec, options, &Bars::default())?, out)
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    report: &'a Report,
    /// The array job for Slurm.
    script: Option<&'a str>,
    /// Its number.
    job: Option<&'a str>,
}

fn print(report: &Report, out: &Out) -> Result<()> {
    let r = report;
    out.line(&format!(
        "{}: {} of {} points ({} now): {} with metrics, {} against a rule, {} failed; {} on the front, {} confirmed on the RTL",
        r.sweep,
        grouped(r.done),
        grouped(r.points),
        grouped(r.evaluated),
        grouped(r.ok),
        grouped(r.infeasible),
        grouped(r.failed),
        grouped(r.front),
        grouped(r.confirmed)
    ))?;
    if r.stale > 0 {
        out.line(&format!(
            "{} older records are of other points or sources and do not count",
            grouped(r.stale)
        ))?;
    }
    match &r.report {
        Some(page) => out.line(page)?,
        None => out.line("the results are written when all points are there")?,
    }
    out.report(&Told { report: r, script: None, job: None })
}

/// Writes the array job into the folder and submits it, or prints it.
fn slurm(args: &Sweep, folder: &Folder, spec: &Spec, out: &Out) -> Result<()> {
    let program = std::env::current_exe().map_err(|e| Error::io("find", Path::new("accllm"), e))?;
    let place = std::path::absolute(&folder.path).map_err(|e| Error::io("find", &folder.path, e))?;
    let confirm = match args.confirm {
        ConfirmArg::Front => "front",
        ConfirmArg::All => "all",
        ConfirmArg::None => "none",
    };
    let job = Job {
        program: &program,
        folder: &place,
        name: &spec.name,
        tasks: args.tasks,
        partition: args.partition.as_deref(),
        jobs: args.jobs.unwrap_or(1),
        confirm,
    };
    let script = job.script();
    let (report, _) = standing(folder, spec)?;
    if args.dry_run {
        out.text(&script)?;
        return out.report(&Told { report: &report, script: Some(&script), job: None });
    }
    let logs = place.join("slurm");
    std::fs::create_dir_all(&logs).map_err(|e| Error::io("create", &logs, e))?;
    let file = logs.join("job.sh");
    write_whole(&file, script.as_bytes())?;
    let ran = Command::new("sbatch").arg("--parsable").arg(&file).output();
    let ran = ran.map_err(|e| {
        let what = "is Slurm installed here? --dry-run prints the job";
        Error::Argument(format!("cannot run sbatch: {e}; {what}"))
    })?;
    if !ran.status.success() {
        let said = String::from_utf8_lossy(&ran.stderr);
        return Err(Error::Argument(format!("sbatch refused {}: {}", file.display(), said.trim())));
    }
    let id = String::from_utf8_lossy(&ran.stdout).trim().to_owned();
    out.line(&format!(
        "submitted {} as job {id}; `accllm sweep {} --status` says how far it is",
        file.display(),
        place.display()
    ))?;
    out.report(&Told { report: &report, script: Some(&script), job: Some(&id) })
}
