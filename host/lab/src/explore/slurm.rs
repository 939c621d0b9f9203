//! A sweep as an array job of Slurm: a task is a shard, and the last one to end writes the results.

use std::path::Path;

/// The job.
#[derive(Debug, Clone)]
pub struct Job<'a> {
    /// The program that tasks run.
    pub program: &'a Path,
    /// The sweep's folder.
    pub folder: &'a Path,
    /// Name of the sweep.
    pub name: &'a str,
    /// Tasks.
    pub tasks: u16,
    /// Partition; the cluster's default where not given.
    pub partition: Option<&'a str>,
    /// Points at once in a task.
    pub jobs: u16,
    /// `front`, `all` or `none`.
    pub confirm: &'a str,
}

/// A word for a shell.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-=,".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

impl Job<'_> {
    /// The script. A task that is interrupted goes on when it is queued again, because records are kept; so does the whole
    /// job when it is submitted once more.
    pub fn script(&self) -> String {
        let folder = self.folder.display().to_string();
        let partition = self.partition.map(|p| format!("#SBATCH --partition={p}\n")).unwrap_or_default();
        format!(
            "#!/bin/sh\n\
             #SBATCH --job-name=accllm-{}\n\
             #SBATCH --array=1-{}\n\
             #SBATCH --cpus-per-task={}\n\
             #SBATCH --requeue\n\
             #SBATCH --open-mode=append\n\
             #SBATCH --output=\"{folder}/slurm/%a.log\"\n\
             {partition}\
             exec {} sweep {} --shard \"$SLURM_ARRAY_TASK_ID/{}\" --jobs {} --confirm {}\n",
            self.name,
            self.tasks,
            self.jobs,
            quoted(&self.program.display().to_string()),
            quoted(&folder),
            self.tasks,
            self.jobs,
            self.confirm,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_a_shell() {
        assert_eq!(["a/b-c.d", "a b", "", "it's"].map(quoted), ["a/b-c.d", "'a b'", "''", "'it'\\''s'"]);
    }
}
