//! The rules of configurations: those of `accllm_hw::config` and those of the RTL are the same, and the RTL is clean for
//! whatever keeps them.

use super::ctrl::whole::{config as tiny, engine};
use accllm_hw::config::random::{any, legal, small};
use accllm_hw::config::{CONFIGS, Config, FIELDS, RELATIONS, find};
use accllm_hw::regs;
use accllm_sim::engine::EngineSpec;
use accllm_sim::golden::Image;
use accllm_sim::verilate::{VerilateError, VerilateSpec};
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Mutex;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// A built-in configuration, or `randomN`: the small one of seed N.
pub fn named(name: &str) -> Outcome<&'static Config> {
    static RANDOM: Mutex<BTreeMap<u64, &'static Config>> = Mutex::new(BTreeMap::new());
    let Some(seed) = name.strip_prefix("random") else { return Ok(find(name)?) };
    let seed = seed.parse()?;
    let mut known = RANDOM.lock().map_err(|_| "poisoned")?;
    Ok(known.entry(seed).or_insert_with(|| Box::leak(Box::new(small(seed)))))
}

/// What the RTL's check says of the parameters; empty where it accepts them.
fn said(config: &Config) -> Outcome<String> {
    let sources = ["hw/rtl/lint.vlt", "hw/rtl/pkg/accllm_regs_pkg.sv", "hw/rtl/top/config_check.sv"];
    let spec = VerilateSpec::new("config_check", sources);
    let spec = config.params().fold(spec, |spec, (_, name, value)| spec.param(name, value));
    match spec.lint() {
        Ok(()) => Ok(String::new()),
        Err(VerilateError::Tool { message, .. }) => Ok(message),
        Err(e) => Err(e.into()),
    }
}

/// Names of what the rules of this crate refuse, as far as the RTL knows it: parameters, and relations where every
/// parameter keeps its own rule.
fn refused(config: &Config) -> Vec<String> {
    let fields = FIELDS.iter().zip(config.values()).filter(|(f, v)| !f.rule.allows(*v));
    let own: Vec<_> = fields.filter_map(|(f, _)| Some(format!("{}: must be", f.param?))).collect();
    if !own.is_empty() {
        return own;
    }
    RELATIONS.iter().filter_map(|r| Some(format!("{}: ", r.sv.filter(|_| !(r.holds)(config))?))).collect()
}

/// Whether both agree about a configuration; `true` where they accept it.
fn agree(config: &Config) -> Outcome<bool> {
    let (said, refused) = (said(config)?, refused(config));
    assert_eq!(said.is_empty(), refused.is_empty(), "{config:?}\n{said}\n{refused:?}");
    for words in &refused {
        assert!(said.contains(words), "{config:?}\n{said}\n{words}");
    }
    Ok(refused.is_empty())
}

#[test]
fn the_rtl_refuses_what_the_rules_refuse() -> Outcome {
    let accepted = (0..250).map(|seed| agree(&any(seed))).collect::<Outcome<Vec<_>>>()?;
    let count = accepted.iter().filter(|a| **a).count();
    assert!((50..200).contains(&count), "{count} of 250 are legal");
    for config in CONFIGS.iter() {
        assert!(agree(config)?, "{}", config.name);
    }
    Ok(())
}

/// Every edge of every field, and of every relation.
#[test]
fn the_rtl_has_the_same_edges() -> Outcome {
    for (i, field) in FIELDS.iter().enumerate().filter(|(_, f)| f.param.is_some()) {
        let rule = field.rule;
        for value in [
            rule.least / 2,
            rule.least.saturating_sub(1),
            rule.least,
            rule.least + 1,
            rule.most,
            rule.most + 1,
        ] {
            let mut values = CONFIGS[0].values();
            values[i] = value;
            agree(&CONFIGS[0].with_values(values))?;
        }
    }
    let mut broken = vec![0; RELATIONS.len()];
    for seed in 0..3000 {
        let config = any(seed);
        for (i, r) in RELATIONS.iter().enumerate().filter(|(_, r)| r.sv.is_some()) {
            if broken[i] < 2 && refused(&config).contains(&format!("{}: ", r.sv.unwrap_or_default())) {
                broken[i] += 1;
                assert!(!agree(&config)?);
            }
        }
    }
    let known = RELATIONS.iter().zip(broken).filter(|(r, _)| r.sv.is_some());
    known.for_each(|(r, n)| assert_eq!(n, 2, "{} is never broken", r.doc));
    Ok(())
}

/// The engine itself does not elaborate with wrong parameters.
#[test]
fn the_engine_refuses_wrong_parameters() -> Outcome {
    let narrow = Config { vec: 8, channels: 32, ..CONFIGS[2] };
    let deep = Config { imem: 1 << 16, ..CONFIGS[0] };
    for (config, words) in [(narrow, "VEC >= CHANNELS"), (deep, "IMEM: must be a power of two")] {
        let error = EngineSpec::new(&config).verilate().lint().err().ok_or("it was accepted")?;
        assert!(error.to_string().contains(words), "{error}");
    }
    Ok(())
}

fn lint(config: &Config) -> Outcome {
    config.check().map_err(|v| format!("{config:?}: {v:?}"))?;
    Ok(EngineSpec::new(config).verilate().lint().map_err(|e| format!("{config:?}: {e}"))?)
}

#[test]
fn random_configurations_are_lint_clean() -> Outcome {
    (0..3).try_for_each(|seed| lint(&small(seed)))
}

#[test]
#[ignore = "a minute: lint of 100 configurations, large ones too"]
fn many_random_configurations_are_lint_clean() -> Outcome {
    (3..63).try_for_each(|seed| lint(&small(seed)))?;
    (0..40).try_for_each(|seed| lint(&legal(seed)))
}

/// Matrix unit, vector unit and the whole engine on a configuration that nobody chose.
fn modules(seed: u64) -> Outcome {
    let config = small(seed);
    let run = || -> Outcome {
        super::vec::cases::on_random(&config.name, seed)?;
        super::mat::on_random(&config.name, seed)?;
        super::ctrl::whole::layer_on(&config, seed..seed + 2)
    };
    run().map_err(|e| format!("{config:?}: {e}").into())
}

#[test]
fn modules_of_random_configurations() -> Outcome {
    modules(0)
}

#[test]
#[ignore = "half an hour of CPU: three models of each of 60 configurations are built"]
fn modules_of_many_random_configurations() -> Outcome {
    (1..61).try_for_each(|seed| {
        modules(seed)?;
        println!("{:?}", small(seed));
        Ok(())
    })
}

/// The engine tells its parameters.
#[test]
fn registers_hold_the_parameters() -> Outcome {
    let config = tiny()?;
    let mut engine = engine(config, &Image::new(config.channels), 0)?;
    for ((field, _, value), offset) in config.params().zip((regs::CONFIG..).step_by(4)) {
        assert_eq!(engine.read(offset)? as usize, value, "{field}");
    }
    Ok(())
}
